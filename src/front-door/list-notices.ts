/** That a list changed, as it is told to a client: however often it changes while the client does not read, it hears it once. */

import { LISTS, type List } from '../catalog/view.ts';

export function noticeMethod(list: List): string {
  return `notifications/${list}/list_changed`;
}

/** Null: another method. */
export function listOfNotice(method: unknown): List | null {
  return LISTS.find((list) => method === noticeMethod(list)) ?? null;
}

/** @param write resolves when there is room for more. */
export function createListNotices(write: (list: List) => Promise<void>): { readonly tell: (list: List) => void } {
  const due = new Set<List>();
  let isWriting = false;
  const drain = async (): Promise<void> => {
    isWriting = true;
    try {
      for (const list of due) {
        due.delete(list);
        await write(list);
      }
    } catch {
      // The stream is over.
      due.clear();
    } finally {
      isWriting = false;
    }
  };
  return {
    tell: (list) => {
      due.add(list);
      if (!isWriting) void drain();
    },
  };
}
