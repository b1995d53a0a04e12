import { describe } from 'vitest';
import { missingTool, type ToolName, toolOrSkip } from './tools.ts';

/** `describe` for tests that need tools: where one is missing the block fails under `CI`, else it is skipped and says why. */
export function describeWith(tools: readonly ToolName[], title: string, body: () => void): void {
  const missing = tools.filter((tool) => toolOrSkip(tool) === undefined);
  if (missing.length === 0) describe(title, body);
  else describe.skip(`${title} (skipped: ${missing.map(missingTool).join('; ')})`, body);
}
