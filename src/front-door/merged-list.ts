/** Pages of several backends put together: names under a prefix, each name and address once, one cursor for what is left. */
import { quote } from '../json-text.ts';
import { writeCursor } from './cursor.ts';
import { type Item, type ListKind, type Page, renameItem } from './list-page.ts';
import type { FrontDoorPorts, Member, Visit } from './visit.ts';

export interface MemberPage {
  readonly member: Member;
  readonly page: Page;
}

/** JSON text of the result. @param isWhole nothing was left out: only then may a client keep it for a while. */
export function mergePages(
  visit: Visit,
  ports: FrontDoorPorts,
  list: ListKind,
  pages: readonly MemberPage[],
  isWhole: boolean,
): string {
  const owners = new Map<string, Member>();
  const items = pages.flatMap(({ member, page }) =>
    page.items.flatMap((item) => {
      const name = list.isPrefixed ? `${member.prefix}_${item.name}` : item.name;
      const owner = owners.get(name) ?? earlierOwner(ports, list, member, item);
      if (owner !== undefined) {
        ports.onClash?.(visit, member, owner, name);
        return [];
      }
      owners.set(name, member);
      return [list.isPrefixed ? renameItem(item, name) : item.text];
    }),
  );
  const left = pages.flatMap(({ member, page: { nextCursor } }) =>
    nextCursor === null ? [] : [[member.resource.name, nextCursor] as const],
  );
  const ttlMs = isWhole && pages.length > 0 ? Math.min(...pages.map(({ page }) => page.ttlMs)) : 0;
  return [
    `{"${list.items}":[${items.join(',')}]`,
    left.length === 0 ? '' : `,"nextCursor":${quote(writeCursor(new Map(left)))}`,
    // Made for one caller: nobody else may be given it.
    visit.operation.era === 'modern' ? `,"resultType":"complete","ttlMs":${ttlMs},"cacheScope":"private"` : '',
    '}',
  ].join('');
}

/** An address that a backend before this one is known to have goes to that one, on whatever page it stands. */
function earlierOwner({ members, views }: FrontDoorPorts, list: ListKind, member: Member, { name }: Item): Member | undefined {
  if (list.key !== 'uri') return undefined;
  const before = members.slice(0, members.indexOf(member));
  return before.find(({ resource }) => views(resource.name)?.resourceUris.has(name));
}
