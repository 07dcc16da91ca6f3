import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { HeaderMapInput as _envoy_config_core_v3_HeaderMapInput, HeaderMap as _envoy_config_core_v3_HeaderMap } from './envoy/config/core/v3/HeaderMap.ts';
import type { HeaderValueInput as _envoy_config_core_v3_HeaderValueInput, HeaderValue as _envoy_config_core_v3_HeaderValue } from './envoy/config/core/v3/HeaderValue.ts';
import type { HeaderValueOptionInput as _envoy_config_core_v3_HeaderValueOptionInput, HeaderValueOption as _envoy_config_core_v3_HeaderValueOption } from './envoy/config/core/v3/HeaderValueOption.ts';
import type { ProcessingModeInput as _envoy_extensions_filters_http_ext_proc_v3_ProcessingModeInput, ProcessingMode as _envoy_extensions_filters_http_ext_proc_v3_ProcessingMode } from './envoy/extensions/filters/http/ext_proc/v3/ProcessingMode.ts';
import type { BodyMutationInput as _envoy_service_ext_proc_v3_BodyMutationInput, BodyMutation as _envoy_service_ext_proc_v3_BodyMutation } from './envoy/service/ext_proc/v3/BodyMutation.ts';
import type { BodyResponseInput as _envoy_service_ext_proc_v3_BodyResponseInput, BodyResponse as _envoy_service_ext_proc_v3_BodyResponse } from './envoy/service/ext_proc/v3/BodyResponse.ts';
import type { CommonResponseInput as _envoy_service_ext_proc_v3_CommonResponseInput, CommonResponse as _envoy_service_ext_proc_v3_CommonResponse } from './envoy/service/ext_proc/v3/CommonResponse.ts';
import type { ExternalProcessorClient as _envoy_service_ext_proc_v3_ExternalProcessorClient, ExternalProcessorDefinition as _envoy_service_ext_proc_v3_ExternalProcessorDefinition } from './envoy/service/ext_proc/v3/ExternalProcessor.ts';
import type { HeaderMutationInput as _envoy_service_ext_proc_v3_HeaderMutationInput, HeaderMutation as _envoy_service_ext_proc_v3_HeaderMutation } from './envoy/service/ext_proc/v3/HeaderMutation.ts';
import type { HeadersResponseInput as _envoy_service_ext_proc_v3_HeadersResponseInput, HeadersResponse as _envoy_service_ext_proc_v3_HeadersResponse } from './envoy/service/ext_proc/v3/HeadersResponse.ts';
import type { HttpBodyInput as _envoy_service_ext_proc_v3_HttpBodyInput, HttpBody as _envoy_service_ext_proc_v3_HttpBody } from './envoy/service/ext_proc/v3/HttpBody.ts';
import type { HttpHeadersInput as _envoy_service_ext_proc_v3_HttpHeadersInput, HttpHeaders as _envoy_service_ext_proc_v3_HttpHeaders } from './envoy/service/ext_proc/v3/HttpHeaders.ts';
import type { HttpTrailersInput as _envoy_service_ext_proc_v3_HttpTrailersInput, HttpTrailers as _envoy_service_ext_proc_v3_HttpTrailers } from './envoy/service/ext_proc/v3/HttpTrailers.ts';
import type { ImmediateResponseInput as _envoy_service_ext_proc_v3_ImmediateResponseInput, ImmediateResponse as _envoy_service_ext_proc_v3_ImmediateResponse } from './envoy/service/ext_proc/v3/ImmediateResponse.ts';
import type { ProcessingRequestInput as _envoy_service_ext_proc_v3_ProcessingRequestInput, ProcessingRequest as _envoy_service_ext_proc_v3_ProcessingRequest } from './envoy/service/ext_proc/v3/ProcessingRequest.ts';
import type { ProcessingResponseInput as _envoy_service_ext_proc_v3_ProcessingResponseInput, ProcessingResponse as _envoy_service_ext_proc_v3_ProcessingResponse } from './envoy/service/ext_proc/v3/ProcessingResponse.ts';
import type { TrailersResponseInput as _envoy_service_ext_proc_v3_TrailersResponseInput, TrailersResponse as _envoy_service_ext_proc_v3_TrailersResponse } from './envoy/service/ext_proc/v3/TrailersResponse.ts';
import type { HttpStatusInput as _envoy_type_v3_HttpStatusInput, HttpStatus as _envoy_type_v3_HttpStatus } from './envoy/type/v3/HttpStatus.ts';
import type { BoolValueInput as _google_protobuf_BoolValueInput, BoolValue as _google_protobuf_BoolValue } from './google/protobuf/BoolValue.ts';
import type { BytesValueInput as _google_protobuf_BytesValueInput, BytesValue as _google_protobuf_BytesValue } from './google/protobuf/BytesValue.ts';
import type { DoubleValueInput as _google_protobuf_DoubleValueInput, DoubleValue as _google_protobuf_DoubleValue } from './google/protobuf/DoubleValue.ts';
import type { FloatValueInput as _google_protobuf_FloatValueInput, FloatValue as _google_protobuf_FloatValue } from './google/protobuf/FloatValue.ts';
import type { Int32ValueInput as _google_protobuf_Int32ValueInput, Int32Value as _google_protobuf_Int32Value } from './google/protobuf/Int32Value.ts';
import type { Int64ValueInput as _google_protobuf_Int64ValueInput, Int64Value as _google_protobuf_Int64Value } from './google/protobuf/Int64Value.ts';
import type { StringValueInput as _google_protobuf_StringValueInput, StringValue as _google_protobuf_StringValue } from './google/protobuf/StringValue.ts';
import type { UInt32ValueInput as _google_protobuf_UInt32ValueInput, UInt32Value as _google_protobuf_UInt32Value } from './google/protobuf/UInt32Value.ts';
import type { UInt64ValueInput as _google_protobuf_UInt64ValueInput, UInt64Value as _google_protobuf_UInt64Value } from './google/protobuf/UInt64Value.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  envoy: {
    config: {
      core: {
        v3: {
          HeaderMap: MessageTypeDefinition<_envoy_config_core_v3_HeaderMapInput, _envoy_config_core_v3_HeaderMap>
          HeaderValue: MessageTypeDefinition<_envoy_config_core_v3_HeaderValueInput, _envoy_config_core_v3_HeaderValue>
          HeaderValueOption: MessageTypeDefinition<_envoy_config_core_v3_HeaderValueOptionInput, _envoy_config_core_v3_HeaderValueOption>
        }
      }
    }
    extensions: {
      filters: {
        http: {
          ext_proc: {
            v3: {
              ProcessingMode: MessageTypeDefinition<_envoy_extensions_filters_http_ext_proc_v3_ProcessingModeInput, _envoy_extensions_filters_http_ext_proc_v3_ProcessingMode>
            }
          }
        }
      }
    }
    service: {
      ext_proc: {
        v3: {
          BodyMutation: MessageTypeDefinition<_envoy_service_ext_proc_v3_BodyMutationInput, _envoy_service_ext_proc_v3_BodyMutation>
          BodyResponse: MessageTypeDefinition<_envoy_service_ext_proc_v3_BodyResponseInput, _envoy_service_ext_proc_v3_BodyResponse>
          CommonResponse: MessageTypeDefinition<_envoy_service_ext_proc_v3_CommonResponseInput, _envoy_service_ext_proc_v3_CommonResponse>
          ExternalProcessor: SubtypeConstructor<typeof grpc.Client, _envoy_service_ext_proc_v3_ExternalProcessorClient> & { service: _envoy_service_ext_proc_v3_ExternalProcessorDefinition }
          HeaderMutation: MessageTypeDefinition<_envoy_service_ext_proc_v3_HeaderMutationInput, _envoy_service_ext_proc_v3_HeaderMutation>
          HeadersResponse: MessageTypeDefinition<_envoy_service_ext_proc_v3_HeadersResponseInput, _envoy_service_ext_proc_v3_HeadersResponse>
          HttpBody: MessageTypeDefinition<_envoy_service_ext_proc_v3_HttpBodyInput, _envoy_service_ext_proc_v3_HttpBody>
          HttpHeaders: MessageTypeDefinition<_envoy_service_ext_proc_v3_HttpHeadersInput, _envoy_service_ext_proc_v3_HttpHeaders>
          HttpTrailers: MessageTypeDefinition<_envoy_service_ext_proc_v3_HttpTrailersInput, _envoy_service_ext_proc_v3_HttpTrailers>
          ImmediateResponse: MessageTypeDefinition<_envoy_service_ext_proc_v3_ImmediateResponseInput, _envoy_service_ext_proc_v3_ImmediateResponse>
          ProcessingRequest: MessageTypeDefinition<_envoy_service_ext_proc_v3_ProcessingRequestInput, _envoy_service_ext_proc_v3_ProcessingRequest>
          ProcessingResponse: MessageTypeDefinition<_envoy_service_ext_proc_v3_ProcessingResponseInput, _envoy_service_ext_proc_v3_ProcessingResponse>
          TrailersResponse: MessageTypeDefinition<_envoy_service_ext_proc_v3_TrailersResponseInput, _envoy_service_ext_proc_v3_TrailersResponse>
        }
      }
    }
    type: {
      v3: {
        HttpStatus: MessageTypeDefinition<_envoy_type_v3_HttpStatusInput, _envoy_type_v3_HttpStatus>
        StatusCode: EnumTypeDefinition
      }
    }
  }
  google: {
    protobuf: {
      BoolValue: MessageTypeDefinition<_google_protobuf_BoolValueInput, _google_protobuf_BoolValue>
      BytesValue: MessageTypeDefinition<_google_protobuf_BytesValueInput, _google_protobuf_BytesValue>
      DoubleValue: MessageTypeDefinition<_google_protobuf_DoubleValueInput, _google_protobuf_DoubleValue>
      FloatValue: MessageTypeDefinition<_google_protobuf_FloatValueInput, _google_protobuf_FloatValue>
      Int32Value: MessageTypeDefinition<_google_protobuf_Int32ValueInput, _google_protobuf_Int32Value>
      Int64Value: MessageTypeDefinition<_google_protobuf_Int64ValueInput, _google_protobuf_Int64Value>
      StringValue: MessageTypeDefinition<_google_protobuf_StringValueInput, _google_protobuf_StringValue>
      UInt32Value: MessageTypeDefinition<_google_protobuf_UInt32ValueInput, _google_protobuf_UInt32Value>
      UInt64Value: MessageTypeDefinition<_google_protobuf_UInt64ValueInput, _google_protobuf_UInt64Value>
    }
  }
}

