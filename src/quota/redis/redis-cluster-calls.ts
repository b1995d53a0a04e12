import type { Clock, StartTimer } from '../../decision/ports.ts';
import { StoreFault } from '../bucket-store.ts';
import type { RedisCalls, ScriptCall } from './redis-calls.ts';
import type { ClusterNode, ClusterNodes } from './redis-cluster-nodes.ts';
import { type ReplyWaiter, toCommand } from './redis-connection.ts';
import { RespError } from './redis-resp.ts';
import { refusal } from './redis-session.ts';
import type { Asked } from './redis-state.ts';

/** Calls about one slot, to whichever node has it. */
export interface SlotCalls extends RedisCalls, Asked {
  /** Throws the fault that explains why nobody can be asked. */
  checkReachable(): void;
}

export interface SlotCallsOptions {
  readonly nodes: ClusterNodes;
  readonly slot: number;
  readonly deadlineMs: number;
  readonly clock: Clock;
  readonly startTimer: StartTimer;
}

/** More redirections than that lead nowhere. */
const MAX_HOPS = 4;
const TRY_AGAIN_MS = 5;
const ASKING = toCommand(['ASKING']);
const IGNORED: ReplyWaiter = { answered: () => {}, lost: () => {} };

/**
 * A redirection says that nothing was carried out, so that the call is sent once more, to whom it names: as long as its
 * deadline is not over, so that it takes less than two deadlines in all.
 */
export function createSlotCalls({ nodes, slot, deadlineMs, clock, startTimer }: SlotCallsOptions): SlotCalls {
  function send(call: ScriptCall): void {
    const untilMs = clock.now().monotonicMs + deadlineMs;
    let hops = 0;

    function sendTo(node: ClusterNode, asking: boolean): void {
      // The next command of a connection alone is asked about a slot that moves.
      if (asking) node.session.connection().send(ASKING, IGNORED);
      node.calls.send({ ...call, refused: (error) => redirected(error, node) });
    }

    function attempt(again: () => void): boolean {
      hops += 1;
      if (hops > MAX_HOPS) return false;
      if (clock.now().monotonicMs >= untilMs) return false;
      try {
        again();
      } catch (fault) {
        call.fault(fault instanceof StoreFault ? fault : new StoreFault('unreachable', 'the quota store is lost'));
      }
      return true;
    }

    function redirected(error: RespError, from: ClusterNode): boolean {
      switch (error.code) {
        case 'MOVED':
        case 'ASK': {
          const node = nodes.follow(error, slot, from);
          return node !== undefined && attempt(() => sendTo(node, error.code === 'ASK'));
        }
        case 'TRYAGAIN':
          // Some keys of a slot that moves are here and some there.
          hops = 0;
          return attempt(() => {
            startTimer(TRY_AGAIN_MS, () => {
              if (!attempt(() => sendTo(nodes.at(slot), false))) call.fault(refusal(error));
            });
          });
        case 'CLUSTERDOWN':
          nodes.refresh();
          call.fault(new StoreFault('unreachable', 'the cluster of the quota store is down'));
          return true;
        default:
          return false;
      }
    }

    sendTo(nodes.at(slot), false);
  }

  async function ask(parts: readonly (string | Buffer)[]): ReturnType<Asked['ask']> {
    let node = nodes.at(slot);
    for (let hops = 0; ; hops += 1) {
      const reply = await node.session.connection().ask(parts);
      if (!(reply instanceof RespError) || hops === MAX_HOPS) return reply;
      const next = nodes.follow(reply, slot, node);
      if (next === undefined) return reply;
      node = next;
      if (reply.code === 'ASK') node.session.connection().send(ASKING, IGNORED);
    }
  }

  return {
    send,
    ask,
    checkReachable: () => void nodes.at(slot).session.connection(),
  };
}
