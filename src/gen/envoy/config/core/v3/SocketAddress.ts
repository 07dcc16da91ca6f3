// Original file: proto/envoy/config/core/v3/address.proto


export interface SocketAddressInput {
  'address'?: (string);
  'port_value'?: (number);
  'named_port'?: (string);
  'port_specifier'?: "port_value"|"named_port";
}

export interface SocketAddress {
  'address'?: (string);
  'port_value'?: (number);
  'named_port'?: (string);
}
