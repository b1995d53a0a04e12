import { readFileSync } from 'node:fs';

/** Linux accounts CPU time in ticks of 10 ms (`getconf CLK_TCK` is 100 on every platform that Node supports). */
const MICROSECONDS_PER_TICK = 10_000;

/** User and system time of a process and all its threads, in microseconds (proc(5), fields 14 and 15 of stat). */
export function cpuMicroseconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The second field is the program's name in brackets and may itself hold spaces.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * MICROSECONDS_PER_TICK;
}
