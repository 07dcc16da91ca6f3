/**
 * Loads @peculiar/x509. It finds its parts through tsyringe, which refuses to load without the Reflect Metadata
 * proposal, and asks it only one thing: which constructor parameters a class declared. These classes declare none, so
 * while the module loads, a stand-in that says "none" is enough, and no polyfill has to be installed.
 */
type ReflectMetadata = {
  getMetadata?: (key: unknown, target: unknown) => unknown;
  getOwnMetadata?: (key: unknown, target: unknown) => unknown;
};

const reflect = Reflect as ReflectMetadata;
const needsStandIn = reflect.getMetadata === undefined;

if (needsStandIn) {
  reflect.getMetadata = () => undefined;
  reflect.getOwnMetadata = () => undefined;
}

export const x509 = await import('@peculiar/x509');

if (needsStandIn) {
  delete reflect.getMetadata;
  delete reflect.getOwnMetadata;
}
