// Original file: proto/envoy/service/ext_proc/v3/external_processor.proto

import type { HeaderMutationInput as _envoy_service_ext_proc_v3_HeaderMutationInput, HeaderMutation as _envoy_service_ext_proc_v3_HeaderMutation } from '../../../../envoy/service/ext_proc/v3/HeaderMutation.ts';
import type { BodyMutationInput as _envoy_service_ext_proc_v3_BodyMutationInput, BodyMutation as _envoy_service_ext_proc_v3_BodyMutation } from '../../../../envoy/service/ext_proc/v3/BodyMutation.ts';

export interface CommonResponseInput {
  'header_mutation'?: (_envoy_service_ext_proc_v3_HeaderMutationInput | null);
  'body_mutation'?: (_envoy_service_ext_proc_v3_BodyMutationInput | null);
}

export interface CommonResponse {
  'header_mutation'?: (_envoy_service_ext_proc_v3_HeaderMutation);
  'body_mutation'?: (_envoy_service_ext_proc_v3_BodyMutation);
}
