// Original file: proto/envoy/type/v3/http_status.proto

import type { StatusCodeInput as _envoy_type_v3_StatusCodeInput, StatusCode as _envoy_type_v3_StatusCode } from '../../../envoy/type/v3/StatusCode.ts';

export interface HttpStatusInput {
  'code'?: (_envoy_type_v3_StatusCodeInput);
}

export interface HttpStatus {
  'code'?: (_envoy_type_v3_StatusCode);
}
