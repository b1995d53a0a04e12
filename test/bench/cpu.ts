import { readdirSync, readFileSync } from 'node:fs';

/** Linux accounts CPU time in ticks of 10 ms (`getconf CLK_TCK` is 100 on every platform that Node supports). */
const MICROSECONDS_PER_TICK = 10_000;

/**
 * User and system time of a process and all its threads, in microseconds: to the nanosecond where the kernel tells what
 * each thread ran (`schedstat`, proc(5)), which leaves out threads that ended; else in ticks.
 */
export function cpuMicroseconds(pid: number): number {
  let nanoseconds = 0;
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      nanoseconds += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
    }
  } catch {
    return tickedMicroseconds(pid);
  }
  return nanoseconds / 1000;
}

function tickedMicroseconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The second field is the program's name in brackets and may itself hold spaces.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * MICROSECONDS_PER_TICK;
}
