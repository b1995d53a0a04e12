import { afterEach, describe, expect, it } from 'vitest';
import { type Authority, createPinAuthority } from '../../../../src/bundle/agent/authority.ts';
import type { WatchedBundle } from '../../../../src/bundle/agent/watched-bundle.ts';
import type { Bundle } from '../../../../src/bundle/bundle.ts';
import { createManualClock } from '../../../support/manual-clock.ts';
import { filesOf, pinOf, repacked, revised, SHIPPED } from '../shipped.ts';
import { agentOf, cleanUp, DOWN, signed, sourceOf, until } from './fleet-of-one.ts';

afterEach(cleanUp);

const stable = signed(1);
const next = signed(2);
/** The plan of the shipped policy under other names: nothing here is evaluated. */
const PLAN = new TextDecoder().decode(filesOf(SHIPPED).get('plan.json')).replaceAll('"authz/', '"extra/');
const extra = (revision: string) =>
  signed(
    1,
    {},
    repacked({
      '.manifest': JSON.stringify({ revision, roots: ['extra'] }),
      'data.json': '{"extra":{}}',
      'plan.json': PLAN,
    }),
  );
const authz = (revision: string) => signed(1, {}, revised(revision));

/** Believes everything, unsigned. */
const credulous: Authority = {
  open: async () => {},
  verify: async ({ bytes }) => pinOf(new Uint8Array(bytes)),
  raise: async () => {},
  acceptOrder: () => Promise.reject(new Error('no orders')),
  nowEpochS: () => 0,
};

const text = (bundles: readonly Bundle[]): string => bundles.map(({ revision }) => revision).join('+');

/** Two bundles and a candidate for one of them, as a rollout holds it. */
async function pair() {
  const on = { decides: '', staged: '', examine: async (_bundles: readonly Bundle[]): Promise<void> => {} };
  const source = sourceOf(extra('e1'));
  const timing = { authority: credulous, minDelayMs: 1e9, maxDelayMs: 1e9 };
  const candidate = sourceOf(authz('a2'));
  const trial = { kind: 'local' as const, source: candidate, authority: credulous };
  const { activator } = agentOf(source, {
    bundles: new Map<string, WatchedBundle>([
      ['authz', { source: sourceOf(authz('a1')), ...timing, trial }],
      ['extra', { source, ...timing }],
    ]),
    entrypoints: [],
    examine: (bundles) => on.examine(bundles),
    activate: (bundles) => {
      on.decides = text(bundles);
    },
    stage: async (set) => {
      on.staged = set === undefined ? '' : text(set.bundles);
    },
  });
  await activator.start();
  await until(() => activator.ready());
  await activator.reload();
  expect(on).toMatchObject({ decides: 'a1+e1', staged: 'a2+e1' });
  const told: string[] = [];
  return {
    on,
    told,
    activator,
    deliver: () => {
      source.given = extra('e2');
      return activator.reload();
    },
    inStatus: () => [...activator.status().values()].map(({ revision }) => revision).join('+'),
    promote: () => {
      const asked = on.staged;
      return activator.promote('authz', authz('a2').sha256, () => {
        told.push(on.staged);
        if (on.staged !== asked) return false;
        on.decides = on.staged;
        return true;
      });
    },
  };
}

describe('a promotion', () => {
  it('that is asked for while another bundle is examined is of what is staged then, and status says what decides', async () => {
    const { on, told, activator, deliver, inStatus, promote } = await pair();
    let goOn = (): void => {};
    const held = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    let examining = false;
    on.examine = (bundles) => {
      examining ||= text(bundles) === 'a1+e2';
      return held;
    };
    const delivered = deliver();
    await until(() => examining);
    const first = promote();
    await new Promise((resolve) => setTimeout(resolve, 20));
    const early = [...told];
    goOn();
    await delivered;
    expect(early).toEqual([]);
    expect(await first).toBe(false);
    expect([on.decides, on.staged, inStatus()]).toEqual(['a1+e2', 'a2+e2', 'a1+e2']);
    expect(await promote()).toBe(true);
    expect([on.decides, inStatus()]).toEqual(['a2+e2', 'a2+e2']);
    await activator.reload();
    expect(on.decides).toBe(inStatus());
  });

  it('of what was not found good beside what came into force meanwhile does not come to pass', async () => {
    const { on, told, deliver, inStatus, promote } = await pair();
    on.examine = async (bundles) => {
      if (text(bundles) === 'a2+e2') throw new Error('they do not go together');
    };
    await deliver();
    expect(await promote()).toBe(false);
    expect(told).toEqual([]);
    expect([on.decides, on.staged, inStatus()]).toEqual(['a1+e2', '', 'a1+e2']);
  });

  it('that the rollout does not want any more is none', async () => {
    const { on, activator, inStatus } = await pair();
    expect(await activator.promote('authz', authz('a2').sha256, () => false)).toBe(false);
    expect(await activator.promote('authz', authz('a3').sha256, () => true)).toBe(false);
    expect([on.decides, on.staged, inStatus()]).toEqual(['a1+e1', 'a2+e1', 'a1+e1']);
  });
});

describe.each(['url', 'file'] as const)('a candidate that was promoted in the place of a pinned %s', (kind) => {
  const watch = (pin = stable.sha256) => {
    const clock = createManualClock();
    const authority = createPinAuthority({ sha256: pin }, clock);
    const trial = {
      kind: 'local' as const,
      source: sourceOf(next, kind),
      authority: createPinAuthority({ sha256: next.sha256 }, clock),
    };
    return { clock, watch: { authority, trial } };
  };

  async function promoted() {
    const source = sourceOf(stable, kind);
    const agent = agentOf(source, watch());
    await agent.activator.start();
    await until(() => agent.activator.ready());
    await agent.activator.reload();
    expect(await agent.activator.promote('authz', next.sha256, () => true)).toBe(true);
    return { agent, source };
  }

  it('stays in force while the source still gives the pinned one, and that is no fault', async () => {
    const { agent } = await promoted();
    await agent.activator.reload();
    await agent.activator.reload();
    expect(agent.inForce).toEqual(['r1']);
    const status = agent.activator.status().get('authz');
    expect(status).toMatchObject({ revision: 'r2', ageMs: 0 });
    expect(status).not.toHaveProperty('lastError');
  });

  it.each([
    ['up', stable],
    ['down', DOWN],
  ])('is in force after a restart too, its source %s', async (_how, given) => {
    const { agent, source } = await promoted();
    await agent.activator.stop();
    source.given = given;
    const again = agentOf(source, { ...watch(), folder: agent.folder });
    await again.activator.start();
    await again.activator.reload();
    expect(again.inForce).toEqual(['r2']);
  });

  it('gives way to another pin', async () => {
    const { agent, source } = await promoted();
    await agent.activator.stop();
    source.given = signed(3);
    const again = agentOf(source, { ...watch(signed(3).sha256), folder: agent.folder });
    await again.activator.start();
    await until(() => again.inForce.length > 0);
    expect(again.inForce).toEqual(['r3']);
  });
});
