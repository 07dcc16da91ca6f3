// Original file: proto/envoy/service/ext_proc/v3/external_processor.proto

import type { HeaderMutationInput as _envoy_service_ext_proc_v3_HeaderMutationInput, HeaderMutation as _envoy_service_ext_proc_v3_HeaderMutation } from '../../../../envoy/service/ext_proc/v3/HeaderMutation.ts';

export interface TrailersResponseInput {
  'header_mutation'?: (_envoy_service_ext_proc_v3_HeaderMutationInput | null);
}

export interface TrailersResponse {
  'header_mutation'?: (_envoy_service_ext_proc_v3_HeaderMutation);
}
