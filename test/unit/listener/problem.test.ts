import { expect, test } from 'vitest';
import { deny } from '../../../src/decision/decision.ts';
import { problemBody } from '../../../src/listener/problem.ts';

const TYPE = 'https://iana.org/assignments/http-problem-types#quota-exceeded';
const TITLE = 'Too many requests';

test.each([
  {
    what: 'a refusal by the quota',
    exceeded: { violated: ['client-rps'], openAi: false },
    body: { type: TYPE, status: 429, title: TITLE, reason: 'quota_exceeded', 'violated-policies': ['client-rps'] },
  },
  {
    what: 'one by limits that are not the caller’s to know',
    exceeded: { violated: [], openAi: false },
    body: { type: TYPE, status: 429, title: TITLE, reason: 'quota_exceeded' },
  },
  {
    what: 'one on a path of OpenAI’s API',
    exceeded: { violated: [], openAi: true },
    body: {
      type: TYPE,
      status: 429,
      title: TITLE,
      reason: 'quota_exceeded',
      error: {
        message: 'Rate limit reached: wait before the next request.',
        type: 'rate_limit_error',
        param: null,
        code: 'rate_limit_exceeded',
      },
    },
  },
])('$what is a problem of a registered type', ({ exceeded, body }) => {
  const told: unknown = JSON.parse(problemBody(deny('quota_exceeded', { exceeded }), 'd-1'));
  expect(told).toEqual({ ...body, decision_id: 'd-1' });
});
