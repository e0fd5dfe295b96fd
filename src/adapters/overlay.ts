/**
 * `target` with `members` in the place of its own of those names, getters and setters among them. Its other methods keep it for their `this`,
 * so what they do among themselves is theirs, and is not counted twice.
 */
export function overlay<T extends object>(target: T, members: object): T {
  const isOurs = (name: PropertyKey): boolean => Object.hasOwn(members, name);
  return new Proxy(target, {
    get: (own, name) => {
      if (isOurs(name)) return Reflect.get(members, name) as unknown;
      const member: unknown = Reflect.get(own, name, own);
      return typeof member === "function" ? (member.bind(own) as unknown) : member;
    },
    set: (own, name, value) => (isOurs(name) ? Reflect.set(members, name, value) : Reflect.set(own, name, value, own)),
  });
}
