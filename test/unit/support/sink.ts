/** A sink that takes what it gets, or lets it wait until it is told to go on. */
import { Writable } from 'node:stream';

export interface Sink extends Writable {
  readonly text: () => string;
  readonly lines: () => string[];
  /** Takes nothing from now on. */
  readonly hold: () => void;
  readonly release: () => void;
  /** Breaks at the next write. */
  readonly failWith: (failure: Error) => void;
}

export function createSink(): Sink {
  let text = '';
  let held = false;
  let broken: Error | null = null;
  let resume: (() => void) | null = null;
  const sink = new Writable({
    decodeStrings: false,
    write(chunk, _encoding, done) {
      const take = (): void => {
        text += chunk;
        done();
        sink.emit('took');
      };
      if (broken !== null) done(broken);
      else if (held) resume = take;
      else take();
    },
  });
  return Object.assign(sink, {
    text: () => text,
    lines: () => text.split('\n').filter((line) => line !== ''),
    failWith: (failure: Error) => {
      broken = failure;
    },
    hold: () => {
      held = true;
    },
    release: () => {
      held = false;
      resume?.();
    },
  });
}
