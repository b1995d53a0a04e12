import { describe, expect, test } from 'vitest';
import type { NotedCharge } from '../../../src/quota/note.ts';
import { parseUsage, type Usage } from '../../../src/quota/settlement/usage.ts';
import { costOf } from '../../../src/quota/settlement/usage-cost.ts';

const chat = { prompt_tokens: 100, completion_tokens: 20, total_tokens: 120 };
const responses = { input_tokens: 100, output_tokens: 20, total_tokens: 120 };
const anthropic = { input_tokens: 100, output_tokens: 20, cache_read_input_tokens: 30, cache_creation_input_tokens: 7 };
const gemini = { promptTokenCount: 100, candidatesTokenCount: 20, totalTokenCount: 120 };
const read = (shape: string, input: number, cached: number, output: number) => ({ shape, input, cached, output });

describe('parseUsage reads', () => {
  test.each<[string, unknown, unknown]>([
    ['a chat completion', chat, read('openai_chat', 100, 0, 20)],
    [
      'cached tokens, which the prompt counts too',
      { ...chat, prompt_tokens_details: { cached_tokens: 30, audio_tokens: 0 } },
      read('openai_chat', 70, 30, 20),
    ],
    ['no total', { prompt_tokens: 1, completion_tokens: 2 }, read('openai_chat', 1, 0, 2)],
    ['details of null', { ...chat, prompt_tokens_details: null }, read('openai_chat', 100, 0, 20)],
    ['an embedding', { prompt_tokens: 8, total_tokens: 8 }, read('openai_chat', 8, 0, 0)],
    ['a response', responses, read('openai_responses', 100, 0, 20)],
    [
      'a response with a cache',
      { ...responses, input_tokens_details: { cached_tokens: 100 }, output_tokens_details: { reasoning_tokens: 9 } },
      read('openai_responses', 0, 100, 20),
    ],
    ['a message', anthropic, read('anthropic', 107, 30, 20)],
    [
      'a message with nulls',
      { ...anthropic, cache_read_input_tokens: null, cache_creation_input_tokens: null, service_tier: 'x' },
      read('anthropic', 100, 0, 20),
    ],
    [
      'a message that says only by lifetime what it wrote to the cache',
      {
        input_tokens: 100,
        output_tokens: 20,
        cache_creation: { ephemeral_5m_input_tokens: 300, ephemeral_1h_input_tokens: 4000 },
      },
      read('anthropic', 4400, 0, 20),
    ],
    [
      'a message that says so twice',
      { ...anthropic, cache_creation: { ephemeral_5m_input_tokens: 7, ephemeral_1h_input_tokens: null } },
      read('anthropic', 107, 30, 20),
    ],
    [
      'a message of lifetimes that are not known yet',
      { input_tokens: 1, output_tokens: 2, cache_creation: { ephemeral_1d_input_tokens: 50 } },
      read('anthropic', 51, 0, 2),
    ],
    ['a message of no lifetime', { ...anthropic, cache_creation: {} }, read('anthropic', 107, 30, 20)],
    [
      'a completion that was only thought',
      { ...chat, completion_tokens_details: { reasoning_tokens: 20, audio_tokens: null } },
      read('openai_chat', 100, 0, 20),
    ],
    ['a message without a cache', { input_tokens: 1, output_tokens: 2 }, read('openai_responses', 1, 0, 2)],
    ['generated content', gemini, read('gemini', 100, 0, 20)],
    ['the same in its wrapper', { usageMetadata: gemini, modelVersion: 'x' }, read('gemini', 100, 0, 20)],
    [
      'thoughts, tools and a cache',
      {
        ...gemini,
        thoughtsTokenCount: 5,
        toolUsePromptTokenCount: 3,
        cachedContentTokenCount: 60,
        totalTokenCount: 128,
      },
      read('gemini', 43, 60, 25),
    ],
    ['zeros that were left out', { promptTokenCount: 4, totalTokenCount: 4 }, read('gemini', 4, 0, 0)],
    ['nothing used', { prompt_tokens: 0, completion_tokens: -0 }, read('openai_chat', 0, 0, 0)],
    ['what is unknown', { ...chat, cost: 'x', __proto__: { total_tokens: 1 } }, read('openai_chat', 100, 0, 20)],
  ])('%s', (_name, value, expected) => {
    expect(parseUsage(value)).toEqual(expected);
  });
});

describe('parseUsage refuses', () => {
  test.each<[string, unknown, string | undefined]>([
    ['no object', 7, undefined],
    ['a list', [chat], undefined],
    ['null', null, undefined],
    ['nothing known', { tokens: 5 }, undefined],
    ['an inherited field', Object.create(chat), undefined],
    ['a missing prompt', { completion_tokens: 1 }, 'prompt_tokens'],
    ['a missing completion', { prompt_tokens: 1 }, 'completion_tokens'],
    ['a missing completion whose total says more', { prompt_tokens: 1, total_tokens: 3 }, 'completion_tokens'],
    ['a text', { ...chat, prompt_tokens: '100' }, 'prompt_tokens'],
    ['a fraction', { ...chat, completion_tokens: 1.5 }, 'completion_tokens'],
    ['what is no number', { ...chat, completion_tokens: Number.NaN }, 'completion_tokens'],
    ['a big integer', { ...chat, prompt_tokens: 10n }, 'prompt_tokens'],
    ['a negative', { ...chat, completion_tokens: -1 }, 'completion_tokens'],
    ['a million million and one', { prompt_tokens: 1e12 + 1, completion_tokens: 0 }, 'prompt_tokens'],
    ['a total that disagrees', { ...chat, total_tokens: 119 }, 'total_tokens'],
    [
      'more cached than read',
      { ...chat, prompt_tokens_details: { cached_tokens: 101 } },
      'prompt_tokens_details.cached_tokens',
    ],
    [
      'a negative cache',
      { ...responses, input_tokens_details: { cached_tokens: -1 } },
      'input_tokens_details.cached_tokens',
    ],
    [
      'more thought than produced',
      { ...chat, completion_tokens_details: { reasoning_tokens: 21 } },
      'completion_tokens_details.reasoning_tokens',
    ],
    [
      'more thought than a response has',
      { ...responses, output_tokens_details: { reasoning_tokens: 5000 } },
      'output_tokens_details.reasoning_tokens',
    ],
    ['thoughts that are a text', { ...chat, completion_tokens_details: 'x' }, 'completion_tokens_details'],
    [
      'lifetimes that are not the sum',
      { ...anthropic, cache_creation: { ephemeral_5m_input_tokens: 3, ephemeral_1h_input_tokens: 3 } },
      'cache_creation_input_tokens',
    ],
    ['lifetimes that are a number', { ...anthropic, cache_creation: 7 }, 'cache_creation'],
    [
      'a negative lifetime',
      { ...anthropic, cache_creation: { ephemeral_5m_input_tokens: -1, ephemeral_1h_input_tokens: 8 } },
      'cache_creation.ephemeral_5m_input_tokens',
    ],
    ['a lifetime of another name that is no count', { ...anthropic, cache_creation: { x: '7' } }, 'cache_creation'],
    ['details that are a list', { ...chat, prompt_tokens_details: [] }, 'prompt_tokens_details'],
    ['a total of a message that disagrees', { ...anthropic, total_tokens: 1 }, 'total_tokens'],
    ['a message without output', { input_tokens: 1, cache_read_input_tokens: 1 }, 'output_tokens'],
    ['a negative cache of a message', { ...anthropic, cache_read_input_tokens: -5 }, 'cache_read_input_tokens'],
    ['content without a prompt', { totalTokenCount: 4 }, 'promptTokenCount'],
    ['content without candidates and total', { promptTokenCount: 4 }, 'candidatesTokenCount'],
    ['content whose total disagrees', { ...gemini, totalTokenCount: 121 }, 'totalTokenCount'],
    ['more cached content than prompt', { ...gemini, cachedContentTokenCount: 101 }, 'cachedContentTokenCount'],
    ['a wrapper of nothing', { usageMetadata: 5 }, 'usageMetadata'],
    ['a wrapper beside a chat', { usageMetadata: gemini, ...chat }, undefined],
    ['chat and response', { ...chat, ...responses }, undefined],
    ['chat and message', { ...chat, cache_read_input_tokens: 5 }, undefined],
    ['response and message', { ...anthropic, input_tokens_details: {} }, undefined],
    ['content and chat', { ...gemini, prompt_tokens: 1 }, undefined],
    ['content and message', { ...gemini, input_tokens: 1 }, undefined],
  ])('%s', (_name, value, field) => {
    expect(parseUsage(value)).toEqual(
      field === undefined ? { fault: expect.any(String) } : { fault: expect.any(String), field },
    );
  });

  test('and never repeats what was sent', () => {
    const canary = 'sk-canary-1234';
    for (const value of [canary, { prompt_tokens: canary }, { [canary]: 1 }, { ...chat, total_tokens: canary }]) {
      expect(JSON.stringify(parseUsage(value))).not.toContain(canary);
    }
  });
});

describe('costOf', () => {
  const usage = (input: number, cached: number, output: number): Usage => ({
    shape: 'openai_chat',
    input,
    cached,
    output,
  });
  const tokens: NotedCharge = { name: 't', unit: 'tokens', meter: { input: 1, cached: 0, output: 4, per: 1 } };
  const money = (input: number, cached: number, output: number): NotedCharge => ({
    name: 'm',
    unit: 'nano_usd',
    meter: { input, cached, output, per: 1_000_000 },
  });
  test.each<[string, NotedCharge, Usage, number]>([
    ['tokens by weight', tokens, usage(10, 5, 3), 22],
    ['requests as they were held', { name: 'r', unit: 'requests' }, usage(10, 5, 3), 77],
    ['bytes as they were held', { name: 'b', unit: 'bytes' }, usage(10, 5, 3), 77],
    // 0.15 $ a million tokens: 150 nano-USD each; in micro-USD it would be 0 or 1.
    ['money to the nano-USD', money(150_000_000, 75_000_000, 600_000_000), usage(1, 0, 0), 150],
    ['money rounded up once, not for each sort', money(1, 1, 1), usage(1, 1, 1), 1],
    ['no money for nothing', money(5, 5, 5), usage(0, 0, 0), 0],
    ['money whose products leave 2^53', money(1e15, 1e15, 1e15), usage(3_000_000, 0, 1), 3_000_000_000_000_000 + 1e9],
    ['the greatest cost there is', money(1_000_000, 0, 0), usage(1e12, 0, 0), 1e12],
  ])('is exact: %s', (_name, charge, used, expected) => {
    expect(costOf(charge, used, 77)).toBe(expected);
  });

  test('agrees with exact arithmetic where doubles do not', () => {
    const charge = money(123_456_789_012_345, 987_654_321_987, 1);
    const used = usage(65_537, 1_000_003, 999_999_999_989);
    const exact =
      (65_537n * 123_456_789_012_345n + 1_000_003n * 987_654_321_987n + 999_999_999_989n + 999_999n) / 1_000_000n;
    expect(costOf(charge, used, 0)).toBe(Number(exact));
  });

  test('is refused where it leaves 2^53 - 1', () => {
    expect(costOf(money(1e15, 0, 0), usage(1e12, 0, 0), 0)).toEqual({ fault: 'the charge `m` would leave 2^53 - 1' });
  });
});
