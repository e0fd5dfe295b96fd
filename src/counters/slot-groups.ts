/** Places of `items` in groups of one slot, each of at most `most`, in their order: what one script call may see at once. */
export function groupsBySlot<T>(items: readonly T[], slotOf: (item: T) => number, most: number): number[][] {
  const open = new Map<number, number[]>();
  const groups: number[][] = [];
  items.forEach((item, place) => {
    const slot = slotOf(item);
    let group = open.get(slot);
    if (!group || group.length === most) {
      open.set(slot, (group = []));
      groups.push(group);
    }
    group.push(place);
  });
  return groups;
}
