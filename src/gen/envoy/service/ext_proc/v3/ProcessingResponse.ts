// Original file: proto/envoy/service/ext_proc/v3/external_processor.proto

import type { HeadersResponseInput as _envoy_service_ext_proc_v3_HeadersResponseInput, HeadersResponse as _envoy_service_ext_proc_v3_HeadersResponse } from '../../../../envoy/service/ext_proc/v3/HeadersResponse.ts';
import type { BodyResponseInput as _envoy_service_ext_proc_v3_BodyResponseInput, BodyResponse as _envoy_service_ext_proc_v3_BodyResponse } from '../../../../envoy/service/ext_proc/v3/BodyResponse.ts';
import type { TrailersResponseInput as _envoy_service_ext_proc_v3_TrailersResponseInput, TrailersResponse as _envoy_service_ext_proc_v3_TrailersResponse } from '../../../../envoy/service/ext_proc/v3/TrailersResponse.ts';
import type { ImmediateResponseInput as _envoy_service_ext_proc_v3_ImmediateResponseInput, ImmediateResponse as _envoy_service_ext_proc_v3_ImmediateResponse } from '../../../../envoy/service/ext_proc/v3/ImmediateResponse.ts';
import type { ProcessingModeInput as _envoy_extensions_filters_http_ext_proc_v3_ProcessingModeInput, ProcessingMode as _envoy_extensions_filters_http_ext_proc_v3_ProcessingMode } from '../../../../envoy/extensions/filters/http/ext_proc/v3/ProcessingMode.ts';

export interface ProcessingResponseInput {
  'request_headers'?: (_envoy_service_ext_proc_v3_HeadersResponseInput | null);
  'response_headers'?: (_envoy_service_ext_proc_v3_HeadersResponseInput | null);
  'request_body'?: (_envoy_service_ext_proc_v3_BodyResponseInput | null);
  'response_body'?: (_envoy_service_ext_proc_v3_BodyResponseInput | null);
  'request_trailers'?: (_envoy_service_ext_proc_v3_TrailersResponseInput | null);
  'response_trailers'?: (_envoy_service_ext_proc_v3_TrailersResponseInput | null);
  'immediate_response'?: (_envoy_service_ext_proc_v3_ImmediateResponseInput | null);
  'mode_override'?: (_envoy_extensions_filters_http_ext_proc_v3_ProcessingModeInput | null);
  'response'?: "request_headers"|"response_headers"|"request_body"|"response_body"|"request_trailers"|"response_trailers"|"immediate_response";
}

export interface ProcessingResponse {
  'request_headers'?: (_envoy_service_ext_proc_v3_HeadersResponse);
  'response_headers'?: (_envoy_service_ext_proc_v3_HeadersResponse);
  'request_body'?: (_envoy_service_ext_proc_v3_BodyResponse);
  'response_body'?: (_envoy_service_ext_proc_v3_BodyResponse);
  'request_trailers'?: (_envoy_service_ext_proc_v3_TrailersResponse);
  'response_trailers'?: (_envoy_service_ext_proc_v3_TrailersResponse);
  'immediate_response'?: (_envoy_service_ext_proc_v3_ImmediateResponse);
  'mode_override'?: (_envoy_extensions_filters_http_ext_proc_v3_ProcessingMode);
}
