/**
 * Which backend a resource belongs to: the one that lists exactly this URI, else the first with a template for it (RFC 6570,
 * levels 1 to 3, read the way servers match them). Time is linear in the URI for each expression, whatever the template.
 */
import type { Views } from '../catalog/view.ts';
import type { Member } from '../resource.ts';

export function findResourceOwner(members: readonly Member[], views: Views, uri: string): Member | null {
  const listed = members.find(({ resource }) => views(resource.name)?.resourceUris.has(uri) === true);
  if (listed !== undefined) return listed;
  const matching = members.find(({ resource }) =>
    views(resource.name)
      ?.resourceTemplates.slice(0, MAX_TEMPLATES)
      .some((template) => template === uri || matchesTemplate(template, uri)),
  );
  return matching ?? null;
}

/** Of one backend; any caller can have a URI held against all of them. */
const MAX_TEMPLATES = 64;
/** Longer templates, and those with more expressions, match nothing. */
const MAX_TEMPLATE = 2048;
const MAX_EXPRESSIONS = 32;

/** What the operators of RFC 6570 section 2.2 begin with and let through. */
const OPERATORS: Readonly<Record<string, { readonly lead: string; readonly stops: string; readonly isOptional: boolean }>> = {
  '': { lead: '', stops: '/?#', isOptional: false },
  '+': { lead: '', stops: '', isOptional: false },
  '#': { lead: '#', stops: '', isOptional: true },
  '.': { lead: '.', stops: '/?#', isOptional: true },
  '/': { lead: '/', stops: '?#', isOptional: true },
  ';': { lead: ';', stops: '/?#', isOptional: true },
  '?': { lead: '?', stops: '#', isOptional: true },
  '&': { lead: '&', stops: '#', isOptional: true },
};

export function matchesTemplate(template: string, uri: string): boolean {
  const literal = template.indexOf('{');
  if (!uri.startsWith(literal < 0 ? template : template.slice(0, literal))) return false;
  const parts = template.split(/\{([^{}]*)\}/);
  if (template.length > MAX_TEMPLATE || parts.length > 2 * MAX_EXPRESSIONS + 1) return false;
  // ends[i]: what was read of the template so far can end at i.
  let ends = new Array<boolean>(uri.length + 1).fill(false);
  ends[0] = true;
  for (const [index, part] of parts.entries()) {
    ends = index % 2 === 0 ? passLiteral(ends, uri, part) : passExpression(ends, uri, part);
    if (!ends.includes(true)) return false;
  }
  return ends[uri.length] === true;
}

function passLiteral(ends: readonly boolean[], uri: string, literal: string): boolean[] {
  return ends.map((_, at) => at >= literal.length && ends[at - literal.length] === true && uri.endsWith(literal, at));
}

function passExpression(ends: readonly boolean[], uri: string, expression: string): boolean[] {
  const operator = OPERATORS[expression[0] ?? ''] ?? OPERATORS[''];
  if (operator === undefined || expression === '') return ends.map(() => false);
  const { lead, stops, isOptional } = operator;
  const begun = passLiteral(ends, uri, lead);
  let isRunning = false;
  return ends.map((ended, at) => {
    // Up to here it takes at least one character, and every one since a beginning may be taken.
    isRunning = at > 0 && !stops.includes(uri[at - 1] as string) && (isRunning || begun[at - 1] === true);
    return isRunning || (isOptional && ended);
  });
}
