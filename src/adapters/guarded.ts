/** Methods by which a Map or a Set changes. */
const MUTATORS = new Set(["set", "add", "delete", "clear"]);

/**
 * `state` with `before` called ahead of every mutation, wherever in it, with the bytes it would grow by (as JSON): a throw there leaves the state
 * as it is. Values that are read out of it are guarded as well.
 */
export function guarded<T extends object>(state: T, before: (growthBytes: number) => void): T {
  const originals = new WeakMap<object, object>();
  const plain = (value: unknown): unknown => (isObject(value) ? (originals.get(value) ?? value) : value);
  const guard = <O extends object>(target: O): O => {
    const proxy = new Proxy(target, {
      get: (t, name) => {
        const value: unknown = Reflect.get(t, name);
        // A runtime's own questions, such as what its proxy stands for.
        if (typeof name === "symbol") return value;
        if (!isPlain(t) && typeof value === "function") {
          return (...args: unknown[]): unknown => {
            if (MUTATORS.has(name)) before(jsonBytes(args));
            return Reflect.apply(value, t, args.map(plain));
          };
        }
        return isObject(value) ? guard(value) : value;
      },
      set: (t, name, value) => {
        const named = Reflect.has(t, name) ? 0 : jsonBytes(String(name)) + 1;
        before(named + jsonBytes(plain(value)) - jsonBytes(Reflect.get(t, name)));
        return Reflect.set(t, name, plain(value));
      },
      deleteProperty: (t, name) => {
        before(-jsonBytes(Reflect.get(t, name)));
        return Reflect.deleteProperty(t, name);
      },
      defineProperty: (t, name, descriptor) => {
        before(jsonBytes(plain(descriptor.value)));
        return Reflect.defineProperty(t, name, descriptor);
      },
    });
    originals.set(proxy, target);
    return proxy;
  };
  return guard(state);
}

/** Bytes of a value as JSON. */
export const jsonBytes = (value: unknown): number => Buffer.byteLength(JSON.stringify(value) ?? "");

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;
const isPlain = (value: object): boolean =>
  Array.isArray(value) || [Object.prototype, null].includes(Object.getPrototypeOf(value) as never);
