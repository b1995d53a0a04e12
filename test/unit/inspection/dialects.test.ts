import { describe, expect, it } from 'vitest';
import { CHAT, codeOf, inspect } from './access-requests.ts';

const HEADERS = [['content-type', 'application/json']] as const;

function ask(dialect: string, body: object | string) {
  const routes = [{ ...CHAT, dialect, model: dialect === 'kserve_v2' ? undefined : 'body' }].map(
    ({ model, ...route }) => (model === undefined ? route : { ...route, model }),
  );
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return inspect(
    { method: 'POST', target: '/v1/chat/completions', headers: HEADERS, body: text, complete: true },
    { routes },
  );
}

const model = 'llama-3-8b';

describe('the dialect of a route', () => {
  it.each<[string, object, object]>([
    [
      'openai_chat',
      { model, stream: true, max_completion_tokens: 9, n: 2, messages: [{ content: 'abcdefgh' }], prompt: 7 },
      { model, stream: true, max_tokens: 9, candidates: 2, message_count: 1, estimated_prompt_tokens: 2 },
    ],
    [
      'openai_completions',
      { model, max_tokens: 9, n: 2, best_of: 5, prompt: 'abcd', messages: 'not read' },
      { model, max_tokens: 9, candidates: 5, estimated_prompt_tokens: 1 },
    ],
    ['openai_embeddings', { model, input: [1, 2, 3], max_tokens: 'not read' }, { model, estimated_prompt_tokens: 3 }],
    [
      'openai_responses',
      { model, max_output_tokens: 9, input: 'abcdefgh', instructions: 'abcd', stream: false },
      { model, max_tokens: 9, message_count: 1, estimated_prompt_tokens: 3, stream: false },
    ],
    [
      'openai_responses',
      { model, input: [{ content: 'abcd' }, { content: 'efgh' }] },
      { model, message_count: 2, estimated_prompt_tokens: 2 },
    ],
    [
      'anthropic_messages',
      { model, max_tokens: 9, system: [{ text: 'abcd' }], messages: [{ content: 'efgh' }] },
      { model, max_tokens: 9, message_count: 1, estimated_prompt_tokens: 2 },
    ],
    [
      'kserve_v2',
      {
        inputs: [{ name: 'text', shape: [1], datatype: 'BYTES', data: ['abcdefg'] }],
        parameters: { max_tokens: 9, stream: true },
      },
      { max_tokens: 9, stream: true, estimated_prompt_tokens: 5 },
    ],
    [
      'kserve_v2',
      { text_input: 'abcd', max_tokens: 9, parameters: { max_tokens: 9 } },
      { max_tokens: 9, estimated_prompt_tokens: 1 },
    ],
    ['kserve_v2', { text_input: 'abcd', parameters: null }, { estimated_prompt_tokens: 1 }],
  ])('%s reads %j', (dialect, body, wanted) => {
    const result = ask(dialect, body);
    if (result.kind === 'refused') throw new Error(result.cause);
    expect(result.inference).toEqual(wanted);
  });

  it.each<[string, object | string]>([
    ['openai_chat', { model, max_tokens: 1, max_completion_tokens: 2 }],
    ['openai_chat', { model, messages: 'text' }],
    ['openai_completions', { model, best_of: '5' }],
    ['openai_completions', { model, Best_Of: 5 }],
    ['openai_embeddings', { model, input: 7 }],
    ['openai_responses', { model, max_output_tokens: '7' }],
    ['openai_responses', { model, maxOutputTokens: 7 }],
    ['openai_responses', { model, input: {} }],
    ['anthropic_messages', { model, system: 1 }],
    ['anthropic_messages', { max_tokens: 1 }],
    ['kserve_v2', { parameters: [] }],
    ['kserve_v2', { parameters: { max_tokens: '9' } }],
    ['kserve_v2', { parameters: { Max_Tokens: 9 } }],
    ['kserve_v2', { max_tokens: 1, parameters: { max_tokens: 2 } }],
    ['kserve_v2', { stream: false, parameters: { stream: true } }],
    ['kserve_v2', '{"parameters":{"max_tokens":1,"max_tokens":2}}'],
    ['kserve_v2', { Parameters: {} }],
  ])('%s refuses %j', (dialect, body) => {
    expect(codeOf(ask(dialect, body))).toBe('malformed_request');
  });
});
