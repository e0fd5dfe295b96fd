/** The command that caps a meter, as people type it. `<n>` stands for the value where it is theirs to choose. */
export const capCommand = (meter: { name: string }, period: "day" | "month", value: number | "<n>" = "<n>"): string =>
  `weir limits set ${meter.name} --period ${period} --value ${value}`;
