/** Where the module of a thread is: TypeScript beside TypeScript, JavaScript beside JavaScript. */

/** @param base `import.meta.url` of the module beside it. */
export function threadUrl(name: string, base: string): URL {
  return new URL(`./${name}${base.endsWith('.ts') ? '.ts' : '.js'}`, base);
}
