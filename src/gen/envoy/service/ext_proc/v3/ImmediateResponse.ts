// Original file: proto/envoy/service/ext_proc/v3/external_processor.proto

import type { HttpStatusInput as _envoy_type_v3_HttpStatusInput, HttpStatus as _envoy_type_v3_HttpStatus } from '../../../../envoy/type/v3/HttpStatus.ts';
import type { HeaderMutationInput as _envoy_service_ext_proc_v3_HeaderMutationInput, HeaderMutation as _envoy_service_ext_proc_v3_HeaderMutation } from '../../../../envoy/service/ext_proc/v3/HeaderMutation.ts';

export interface ImmediateResponseInput {
  'status'?: (_envoy_type_v3_HttpStatusInput | null);
  'headers'?: (_envoy_service_ext_proc_v3_HeaderMutationInput | null);
  'body'?: (Buffer | Uint8Array | string);
  'details'?: (string);
}

export interface ImmediateResponse {
  'status'?: (_envoy_type_v3_HttpStatus);
  'headers'?: (_envoy_service_ext_proc_v3_HeaderMutation);
  'body'?: (Buffer);
  'details'?: (string);
}
