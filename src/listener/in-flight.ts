/** Counts checks under way and says no beyond the limit, at once. */
export interface InFlight {
  /** Enters and answers true, or leaves everything as it is and answers false. */
  tryEnter(): boolean;
  /** To be called once for every `tryEnter` that answered true. */
  leave(): void;
  current(): number;
}

export function createInFlight(limit: number): InFlight {
  let current = 0;
  return {
    tryEnter() {
      if (current >= limit) return false;
      current += 1;
      return true;
    },
    leave() {
      if (current === 0) throw new Error('`leave` without `tryEnter`');
      current -= 1;
    },
    current: () => current,
  };
}
