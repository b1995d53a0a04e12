/** Bodies of archives that are held in memory at one time, before anything is known of them but the token. */
export interface Uploads {
  /** Takes a place, and answers how to give it back; `undefined`: there is none. */
  begin(token: string): (() => void) | undefined;
}

/** Few places, and no more than half of them for one token: a stolen one does not keep the others from publishing. */
export function createUploads(): Uploads {
  const byToken = new Map<string, number>();
  let count = 0;
  return {
    begin: (token) => {
      const own = byToken.get(token) ?? 0;
      if (count >= MAX_UPLOADS || own >= MAX_UPLOADS / 2) return undefined;
      byToken.set(token, own + 1);
      count += 1;
      return () => {
        count -= 1;
        const left = (byToken.get(token) ?? 1) - 1;
        if (left === 0) byToken.delete(token);
        else byToken.set(token, left);
      };
    },
  };
}

const MAX_UPLOADS = 4;
