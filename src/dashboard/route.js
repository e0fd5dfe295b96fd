/** Where in the dashboard we are: `#/state/service_1/Room?object=room-1`. The part after # never reaches a server's log. */
import { useEffect, useState } from "./lib.js";

/** @typedef {{ view: string, parts: string[] }} Place */

/** @returns {Place} */
function present() {
  const [view = "", ...parts] = location.hash.replace(/^#\/?/, "").split("/").map(decoded);
  return { view: view === "" ? "usage" : view, parts };
}

/** A name as it was before `placeOf`; an address that somebody typed may hold a lone %.
 * @param {string} part */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The present place, anew when it changes. */
export function usePlace() {
  const [place, setPlace] = useState(present);
  useEffect(() => {
    const listener = () => setPlace(present());
    addEventListener("hashchange", listener);
    return () => removeEventListener("hashchange", listener);
  }, []);
  return place;
}

/** The address of a place, for a link.
 * @param {string} view
 * @param {...string} parts */
export const placeOf = (view, ...parts) => `#/${[view, ...parts].map(encodeURIComponent).join("/")}`;

/** @param {string} view
 * @param {...string} parts */
export const goTo = (view, ...parts) => void (location.hash = placeOf(view, ...parts));
