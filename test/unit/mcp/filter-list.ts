/** A list cut down on its own, without the stream that it comes in. */
import { readJsonText } from '../../../src/mcp/json.ts';
import { ANSWER_LIMITS, type FilterRules, filterResult, isAnswerTo, listDenial } from '../../../src/mcp/lists.ts';
import { isObject } from '../../../src/mcp/message.ts';
import { splice } from '../../../src/mcp/spans.ts';
import { deny, ok, type Result } from '../../../src/result.ts';

export interface AnswerFilter extends FilterRules {
  /** As a JSON token. */
  readonly requestId: string;
}

/** @param text one JSON-RPC message. */
export async function filterList(
  text: string,
  rules: AnswerFilter,
): Promise<Result<{ readonly text: string; readonly shown: number; readonly hidden: number }>> {
  const document = readJsonText(text, ANSWER_LIMITS);
  if (!document.ok) return deny(listDenial(document.denial.reason));
  const { value } = document.value;
  if (!isObject(value) || !isAnswerTo(document.value, rules.requestId)) return deny(listDenial('not the answer'));
  if (Object.hasOwn(value, 'error')) return ok({ text, shown: 0, hidden: 0 });
  const filtered = await filterResult(document.value, rules);
  if (!filtered.ok) return filtered;
  const { edits, shown, hidden } = filtered.value;
  return ok({ text: splice(text, edits), shown, hidden });
}
