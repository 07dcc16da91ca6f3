// Original file: proto/envoy/service/ext_proc/v3/external_processor.proto

import type { HttpHeadersInput as _envoy_service_ext_proc_v3_HttpHeadersInput, HttpHeaders as _envoy_service_ext_proc_v3_HttpHeaders } from '../../../../envoy/service/ext_proc/v3/HttpHeaders.ts';
import type { HttpBodyInput as _envoy_service_ext_proc_v3_HttpBodyInput, HttpBody as _envoy_service_ext_proc_v3_HttpBody } from '../../../../envoy/service/ext_proc/v3/HttpBody.ts';
import type { HttpTrailersInput as _envoy_service_ext_proc_v3_HttpTrailersInput, HttpTrailers as _envoy_service_ext_proc_v3_HttpTrailers } from '../../../../envoy/service/ext_proc/v3/HttpTrailers.ts';

export interface ProcessingRequestInput {
  'request_headers'?: (_envoy_service_ext_proc_v3_HttpHeadersInput | null);
  'response_headers'?: (_envoy_service_ext_proc_v3_HttpHeadersInput | null);
  'request_body'?: (_envoy_service_ext_proc_v3_HttpBodyInput | null);
  'response_body'?: (_envoy_service_ext_proc_v3_HttpBodyInput | null);
  'request_trailers'?: (_envoy_service_ext_proc_v3_HttpTrailersInput | null);
  'response_trailers'?: (_envoy_service_ext_proc_v3_HttpTrailersInput | null);
  'observability_mode'?: (boolean);
  'request'?: "request_headers"|"response_headers"|"request_body"|"response_body"|"request_trailers"|"response_trailers";
}

export interface ProcessingRequest {
  'request_headers'?: (_envoy_service_ext_proc_v3_HttpHeaders);
  'response_headers'?: (_envoy_service_ext_proc_v3_HttpHeaders);
  'request_body'?: (_envoy_service_ext_proc_v3_HttpBody);
  'response_body'?: (_envoy_service_ext_proc_v3_HttpBody);
  'request_trailers'?: (_envoy_service_ext_proc_v3_HttpTrailers);
  'response_trailers'?: (_envoy_service_ext_proc_v3_HttpTrailers);
  'observability_mode'?: (boolean);
}
