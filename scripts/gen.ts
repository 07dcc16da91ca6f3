/** `npm run gen`: the types in src/gen/ from proto/. `--check` says whether they are what the protos give. */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
export const generated = join(root, 'src/gen');

const services = ['envoy/service/auth/v3/external_auth.proto', 'envoy/service/ext_proc/v3/external_processor.proto'];

/** Writes the types into a folder. The options are those of the loader in src/ext-authz/server.ts. */
export async function generate(outDir: string): Promise<void> {
  const options = ['--keepCase', '--longs=Number', '--importFileExtension=.ts', '--grpcLib=@grpc/grpc-js'];
  const names = ['--inputTemplate=%sInput', '--outputTemplate=%s'];
  const script = join(root, 'node_modules/@grpc/proto-loader/build/bin/proto-loader-gen-types.js');
  await promisify(execFile)(
    process.execPath,
    [script, ...services, ...options, ...names, `--outDir=${outDir}`, '--includeDirs=proto'],
    { cwd: root },
  );
}

/** Files by relative path. */
export async function filesBelow(dir: string): Promise<Map<string, string>> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return new Map(
    await Promise.all(
      files.sort().map(async (file): Promise<[string, string]> => [file.slice(dir.length + 1), await readFile(file, 'utf8')]),
    ),
  );
}

if (import.meta.main) {
  if (process.argv.includes('--check')) {
    const fresh = await mkdtemp(join(tmpdir(), 'gen-'));
    await generate(fresh);
    const same = JSON.stringify([...(await filesBelow(fresh))]) === JSON.stringify([...(await filesBelow(generated))]);
    await rm(fresh, { recursive: true });
    console.log(same ? 'src/gen is what proto/ gives' : 'src/gen is not what proto/ gives: run `npm run gen`');
    process.exitCode = same ? 0 : 1;
  } else {
    await rm(generated, { recursive: true, force: true });
    await generate(generated);
    console.log('wrote src/gen from proto/');
  }
}
