/** Connections not yet taken up: of 2,000 clients that come at once, Node's 511 kept some waiting seconds for their next try, and reset others. */
export const BACKLOG = 4_096;
