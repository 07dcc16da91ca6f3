// Original file: proto/envoy/config/core/v3/address.proto


export interface PipeInput {
  'path'?: (string);
}

export interface Pipe {
  'path'?: (string);
}
