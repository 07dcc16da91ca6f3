/** Colour where a person looks, plain text where a program reads (https://no-color.org). */
import { styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

/** Paints unless standard output is no terminal or NO_COLOR is set. */
export function paint(style: Style, text: string): string {
  return styleText(style, text, { stream: process.stdout });
}

export const bold = (text: string) => paint('bold', text);
export const dim = (text: string) => paint('dim', text);
export const yes = (text: string) => paint('green', text);
export const no = (text: string) => paint('yellow', text);
export const wrong = (text: string) => paint('red', text);
