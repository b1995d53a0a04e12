import type { Figures } from './row.ts';

/** What a program that measures itself is asked for, and what it answers. */
export type TaskOrder = Readonly<Record<string, number>>;
export type TaskAnswer = { readonly figures: Figures } | { readonly error: string };

/** Does what the parent process asks, one thing after the other. */
export function answerTasks(run: (order: TaskOrder) => Promise<Figures>): void {
  process.on('message', (order: TaskOrder) => {
    run(order).then(
      (figures) => process.send?.({ figures } satisfies TaskAnswer),
      (error: unknown) => process.send?.({ error: String(error) } satisfies TaskAnswer),
    );
  });
}
