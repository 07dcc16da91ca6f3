// Original file: proto/envoy/service/ext_proc/v3/external_processor.proto

import type { CommonResponseInput as _envoy_service_ext_proc_v3_CommonResponseInput, CommonResponse as _envoy_service_ext_proc_v3_CommonResponse } from '../../../../envoy/service/ext_proc/v3/CommonResponse.ts';

export interface BodyResponseInput {
  'response'?: (_envoy_service_ext_proc_v3_CommonResponseInput | null);
}

export interface BodyResponse {
  'response'?: (_envoy_service_ext_proc_v3_CommonResponse);
}
