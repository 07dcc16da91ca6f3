/**
 * Why a bundle is not put in force: one closed list. The code is the label of the metric, the field in the log, in /readyz and
 * in the status, and a row in docs/bundles.md.
 */

interface RefusalRow {
  /** What was found. */
  readonly meaning: string;
  /** What whoever made the bundle, or runs the sidecar, does about it. */
  readonly remedy: string;
}

export const BUNDLE_REFUSALS = {
  too_large: {
    meaning: 'The archive, or what it unpacks to, is larger than `policy.maxBundleBytes`, or it has too many members.',
    remedy: 'Take out what no rule reads, or raise the limit.',
  },
  archive_invalid: {
    meaning: 'Not a gzipped tar archive, or one that is cut short.',
    remedy: 'Build it with `opa build`, and look at what the server sends: an error page is a common one.',
  },
  member_invalid: {
    meaning:
      'A member is a link or a device, its name can be read in two ways or lies deeper than 64 folders, or two members have one name; neither case nor `../` in front tells them apart.',
    remedy: 'Pack plain files under plain names; `opa build -b .` inside the folder does.',
  },
  delta_refused: {
    meaning: 'A delta bundle (`patch.json`): it cannot be signed.',
    remedy: 'Serve whole bundles.',
  },
  signature_missing: {
    meaning: 'A signature is required and the bundle has none.',
    remedy: 'Sign it: `opa build --signing-key`, or `opa sign`.',
  },
  signature_invalid: {
    meaning:
      'The signature is not one by the configured key: another key or algorithm, an unknown or missing key id, a damaged token, more than one, or one that names its own key.',
    remedy:
      'Compare the key id and the algorithm with the configured keys. If nothing was changed on purpose, somebody tampered.',
  },
  digest_mismatch: {
    meaning: 'A member is not the one that was signed, is not in the signature, or is in the signature and not in the bundle.',
    remedy: 'Sign after the last change. If nothing was changed on purpose, somebody tampered.',
  },
  scope_mismatch: {
    meaning: 'The bundle is signed for another scope than the configured one.',
    remedy: 'Serve the bundle that was made for this gateway.',
  },
  manifest_invalid: {
    meaning: '`.manifest` cannot be read, or says what OPA does not accept.',
    remedy: 'Let `opa build` write it.',
  },
  revision_missing: {
    meaning: 'The bundle has no revision, or one with other than 1 to 128 visible ASCII characters.',
    remedy: 'Build it with `opa build --revision`, or write `revision` in `.manifest`.',
  },
  revision_older: {
    meaning: 'This revision is older than the one in force, by what the two say, or was in force before it.',
    remedy: 'Publish the older policy under a new revision, or order the step back.',
  },
  revision_reused: {
    meaning: 'The revision was in force before with other files, or other content in them.',
    remedy: 'Give every content a revision of its own.',
  },
  roots_invalid: {
    meaning: 'Roots of the manifest overlap, or data, a package or an entry point lies outside of them.',
    remedy: 'Name in `roots` all that the bundle holds.',
  },
  data_invalid: {
    meaning: 'A data file cannot be read, or two of them say different things about one path.',
    remedy: 'Mend the file that the message names.',
  },
  data_too_large: {
    meaning: 'The data, loaded for evaluation, need more memory than `policy.maxDataMemoryBytes`: many times their size as JSON.',
    remedy: 'Take out what no rule reads, or raise the limit and the memory of the machine with it.',
  },
  rego_invalid: {
    meaning: 'The Rego does not compile.',
    remedy: 'The message has file and line; `mcp-ext-authz policy check` says the same.',
  },
  compile_timeout: {
    meaning: 'Compiling took longer than the time given to it.',
    remedy: 'Find what makes the policy so large; or compile it beforehand with `opa build -t wasm`.',
  },
  compile_memory: {
    meaning: 'Compiling needs more memory than is given to it.',
    remedy: 'Find what makes the policy so large; or compile it beforehand with `opa build -t wasm`.',
  },
  wasm_invalid: {
    meaning: '`policy.wasm` is not a module that OPA made, or there are several.',
    remedy: 'Build it with `opa build -t wasm`, or serve plain Rego.',
  },
  entrypoint_missing: {
    meaning: 'No rule `mcp/inbound/decision` or `mcp/outbound/decision`.',
    remedy: 'Write it; of a bundle that is compiled, name it with `--entrypoint`.',
  },
  builtin_missing: {
    meaning: 'The policy calls a built-in function that the sidecar does not supply.',
    remedy: 'docs/policy.md lists those there are.',
  },
  answer_invalid: {
    meaning: 'The policy answers what is not a decision.',
    remedy: 'docs/policy.md has the shape.',
  },
  persist_failed: {
    meaning:
      'The bundle is in force and could not be written to `policy.persistDirectory`: a restart would begin with the one before.',
    remedy: 'Mend the disk or its permissions. It is tried again at every look.',
  },
  download_failed: {
    meaning: 'The bundle could not be fetched or read.',
    remedy: 'See the message: the server, its certificate, the credentials or the path.',
  },
  timeout: {
    meaning: 'Reading the bundle took longer than the time given to it.',
    remedy: 'Make it smaller, or give the sidecar more CPU.',
  },
} as const satisfies Record<string, RefusalRow>;

export type BundleRefusal = keyof typeof BUNDLE_REFUSALS;

/** Some of it is out of the bundle. */
const MAX_MESSAGE = 2000;

/** The bundle cannot be used; `message` says why, for people. */
export class PolicyRefused extends Error {
  override name = 'PolicyRefused';
  readonly code: BundleRefusal;
  /** Of the archive, and the revision that it gives itself: put here by who knows them, for the log. */
  digest: string | null = null;
  revision: string | null = null;
  constructor(code: BundleRefusal, message: string, options?: ErrorOptions) {
    super(message.length > MAX_MESSAGE ? `${message.slice(0, MAX_MESSAGE)} …` : message, options);
    this.code = code;
  }
}
