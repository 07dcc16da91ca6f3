/** Lines put to policy, some at a time and in order, until nobody waits for it any more: what is left then goes without it. */
import type { Mask } from './masking.ts';

export interface MaskTurns {
  /** What is to be written of them. */
  readonly maskAll: (lines: readonly string[]) => Promise<string[]>;
  /** Policy is not waited for any more, for what is under way either. */
  readonly stopAsking: () => void;
}

/** Lines that policy is asked about at the same time. */
const TOGETHER = 16;

export function createMaskTurns({ apply, giveUp }: Mask): MaskTurns {
  const underWay = new Set<() => void>();
  let isStopped = false;

  async function maskAll(lines: readonly string[]): Promise<string[]> {
    const masked: string[] = [];
    for (let at = 0; at < lines.length; at += TOGETHER) {
      const together = await Promise.all(lines.slice(at, at + TOGETHER).map(maskOne));
      for (const line of together) if (line !== null) masked.push(line);
    }
    return masked;
  }

  function maskOne(line: string): ReturnType<Mask['apply']> {
    if (isStopped) return giveUp(line);
    const asked = apply(line);
    return asked === null || typeof asked === 'string' ? asked : waitFor(asked, line);
  }

  function waitFor(asked: Promise<string | null>, line: string): Promise<string | null> {
    return new Promise((resolve, reject) => {
      const leave = (): void => resolve(giveUp(line));
      underWay.add(leave);
      asked.then(resolve, reject).finally(() => underWay.delete(leave));
    });
  }

  function stopAsking(): void {
    isStopped = true;
    for (const leave of underWay) leave();
    underWay.clear();
  }

  return { maskAll, stopAsking };
}
