/**
 * A verdict to Envoy's CheckResponse. Status and arm are set together and always: an empty CheckResponse would be an allow.
 * A refusal is a denied response with its own status and body, never a gRPC error.
 */
import type { Verdict } from '../check.ts';
import type { HeaderValueOptionInput } from '../gen/envoy/config/core/v3/HeaderValueOption.ts';
import type { CheckResponseInput } from '../gen/envoy/service/auth/v3/CheckResponse.ts';
import type { StatusCodeInput } from '../gen/envoy/type/v3/StatusCode.ts';
import type { StructInput } from '../gen/google/protobuf/Struct.ts';
import type { DecisionRecord } from '../record.ts';

type CheckResponse = CheckResponseInput & Required<Pick<CheckResponseInput, 'status'>>;

/** google.rpc.Code */
const OK = 0;
const PERMISSION_DENIED = 7;
const UNAUTHENTICATED = 16;
const OVERWRITE_IF_EXISTS_OR_ADD = 2;

export function toCheckResponse({ answer }: Pick<Verdict, 'answer'>, record: DecisionRecord): CheckResponse {
  const dynamic_metadata = toStruct(record);
  if (answer.kind === 'forward') {
    return {
      status: { code: OK },
      ok_response: {
        headers: answer.set.map(headerOption),
        headers_to_remove: [...answer.remove],
        response_headers_to_add: answer.responseHeaders.map(headerOption),
      },
      dynamic_metadata,
    };
  }
  const { status, headers, body } = answer.response;
  return {
    status: { code: status === 401 ? UNAUTHENTICATED : PERMISSION_DENIED },
    denied_response: { status: { code: status as StatusCodeInput }, headers: headers.map(headerOption), body },
    dynamic_metadata,
  };
}

function headerOption([key, value]: readonly [string, string]): HeaderValueOptionInput {
  return { header: { key, value }, append_action: OVERWRITE_IF_EXISTS_OR_ADD };
}

/** Strings, numbers and lists of strings: all that a record holds. */
function toStruct(record: DecisionRecord): StructInput {
  const fields: NonNullable<StructInput['fields']> = {};
  for (const [name, value] of Object.entries(record) as [string, string | number | string[]][]) {
    if (typeof value === 'string') fields[name] = { stringValue: value };
    else if (typeof value === 'number') fields[name] = { numberValue: value };
    else fields[name] = { listValue: { values: value.map((stringValue) => ({ stringValue })) } };
  }
  return { fields };
}
