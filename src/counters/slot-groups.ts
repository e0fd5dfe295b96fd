/**
 * Places of `items` in groups of one slot, in their order: what one script call may see at once. The weights of a group's items, 1 each
 * unless told, sum to at most `most`; a heavier item goes alone.
 */
export function groupsBySlot<T>(
  items: readonly T[],
  slotOf: (item: T) => number,
  most: number,
  weightOf: (item: T) => number = () => 1,
): number[][] {
  const open = new Map<number, { places: number[]; weight: number }>();
  const groups: number[][] = [];
  items.forEach((item, place) => {
    const [slot, weight] = [slotOf(item), weightOf(item)];
    const group = open.get(slot);
    if (group && group.weight + weight <= most) {
      group.places.push(place);
      group.weight += weight;
      return;
    }
    const places = [place];
    open.set(slot, { places, weight });
    groups.push(places);
  });
  return groups;
}
