/** Counts requests under way by address and says no beyond the limit of one, at once. */
export interface AddressBound {
  /** Enters and answers true, or leaves everything as it is and answers false. */
  tryEnter(address: string): boolean;
  /** To be called once for every `tryEnter` that answered true. */
  leave(address: string): void;
  /** Addresses with requests under way. */
  size(): number;
}

export function createAddressBound(limit: number): AddressBound {
  const underway = new Map<string, number>();
  return {
    tryEnter(address) {
      const count = underway.get(address) ?? 0;
      if (count >= limit) return false;
      underway.set(address, count + 1);
      return true;
    },
    leave(address) {
      const count = underway.get(address) ?? 0;
      if (count > 1) underway.set(address, count - 1);
      else underway.delete(address);
    },
    size: () => underway.size,
  };
}
