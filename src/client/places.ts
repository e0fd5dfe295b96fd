/** Services and namespaces that are told apart; further ones count as none. */
const PLACES_MAX = 10_000;

export interface PlaceName {
  service: string;
  namespace: string;
}

/** A number for each service and namespace; 0 for none. The last one asked for is found without a look-up. */
export class PlaceNames {
  readonly #names: PlaceName[] = [{ service: "", namespace: "" }];
  readonly #numbers = new Map<string, number>();
  #lastService = "";
  #lastNamespace = "";
  #last = 0;

  numberOf(service: string, namespace: string): number {
    if (service === this.#lastService && namespace === this.#lastNamespace) return this.#last;
    this.#last = this.#find(service, namespace);
    this.#lastService = service;
    this.#lastNamespace = namespace;
    return this.#last;
  }

  nameOf(place: number): PlaceName {
    return this.#names[place] ?? { service: "", namespace: "" };
  }

  #find(service: string, namespace: string): number {
    if (service === "" && namespace === "") return 0;
    const key = `${service}/${namespace}`;
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    if (this.#names.length >= PLACES_MAX) return 0;
    this.#numbers.set(key, this.#names.length);
    return this.#names.push({ service, namespace }) - 1;
  }
}
