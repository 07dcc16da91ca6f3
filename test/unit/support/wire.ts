/** Checks as bytes, by proto-loader's own reading and writing of our proto files. */
import type { ServiceDefinition } from '@grpc/grpc-js';
import { loadAuthorization } from '../../../src/ext-authz/server.ts';
import type { CheckRequestInput } from '../../../src/gen/envoy/service/auth/v3/CheckRequest.ts';
import type { CheckResponse } from '../../../src/gen/envoy/service/auth/v3/CheckResponse.ts';

const { Check } = loadAuthorization().service as ServiceDefinition as { Check: NonNullable<ServiceDefinition[string]> };

/** A request as it arrives. */
export function serializeRequest(input: CheckRequestInput): Buffer {
  return Check.requestSerialize(input);
}

export function deserializeResponse(bytes: Buffer): CheckResponse {
  return Check.responseDeserialize(bytes) as CheckResponse;
}
