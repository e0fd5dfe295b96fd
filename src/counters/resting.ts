import type { ScriptArg } from "./script.ts";

/** What precedes a place's name where collect.lua tells what rests of it. */
const REST_MARK = "<";

/** One process' totals of one bucket and place, in an hour's key. */
export interface Place {
  /** `epoch/source/bucket/service/namespace`. */
  name: string;
  /** What rests of it, as read: `end value end value …`, an end being the last part of a field; '' where nothing does. */
  rested: string;
  /** What has been counted since, as read. */
  fields: [field: string, value: string][];
}

/** The places that an hour's fields are of; fields of gauges (`~`) and leases (`=`) are of none. */
export function placesIn(hour: ReadonlyMap<string, string>): Map<string, Place> {
  const places = new Map<string, Place>();
  const at = (name: string): Place => {
    let place = places.get(name);
    if (!place) places.set(name, (place = { name, rested: "", fields: [] }));
    return place;
  };
  for (const [field, value] of hour) {
    if (field.startsWith(REST_MARK)) at(field.slice(REST_MARK.length)).rested = value;
    else if (/^[^~=+]/.test(field)) at(field.slice(0, field.lastIndexOf("/"))).fields.push([field, value]);
  }
  return places;
}

/** Each field of a place, with what rests of it added. */
export function eachOf({ name, rested, fields }: Place, see: (field: string, value: number) => void): void {
  const sums = new Map<string, number>();
  const parts = rested === "" ? [] : rested.split(" ");
  for (let i = 0; i < parts.length; i += 2) sums.set(`${name}/${parts[i]}`, Number(parts[i + 1]));
  for (const [field, value] of fields) sums.set(field, (sums.get(field) ?? 0) + Number(value));
  for (const [field, value] of sums) see(field, value);
}

/** What booked.lua is told of a place to lay its fields at rest. */
export function restArgs(place: Place): ScriptArg[] {
  const after: (string | number)[] = [];
  eachOf(place, (field, value) => after.push(field.slice(place.name.length + 1), value));
  return [place.name, place.rested, after.join(" "), place.fields.length, ...place.fields.flat()];
}
