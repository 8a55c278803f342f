/**
 * What does a source file say once comments are gone, and strings are strings? Tokens by TypeScript's own scanner, and
 * from them the modules a file imports: with `import`, `import type`, `export … from`, `import()` and `typeof import()`.
 */
import { SyntaxKind } from 'typescript/unstable/ast';
import { createScanner } from 'typescript/unstable/ast/scanner';

export interface Token {
  readonly kind: 'word' | 'string' | 'number' | 'other';
  /** A string's value without its quotes; the source text of everything else. */
  readonly text: string;
  readonly line: number;
}

const strings: ReadonlySet<SyntaxKind> = new Set([SyntaxKind.StringLiteral, SyntaxKind.NoSubstitutionTemplateLiteral]);
const numbers: ReadonlySet<SyntaxKind> = new Set([SyntaxKind.NumericLiteral, SyntaxKind.BigIntLiteral]);

/** After these a slash divides; after anything else it opens a regular expression. */
const endsAValue = (token: Token | undefined): boolean =>
  token !== undefined &&
  (token.kind === 'string' ||
    token.kind === 'number' ||
    [')', ']', '}'].includes(token.text) ||
    (token.kind === 'word' &&
      !/^(return|typeof|case|in|of|delete|void|throw|new|await|yield|else|do)$/.test(token.text)));

export function tokensOf(source: string): Token[] {
  const scanner = createScanner(true);
  scanner.setText(source);
  const tokens: Token[] = [];
  /** One entry per open brace: whether it is the `${` of a template, whose text goes on after the closing brace. */
  const braces: boolean[] = [];
  let line = 1;
  let counted = 0;
  for (let kind = scanner.scan(); kind !== SyntaxKind.EndOfFile; kind = scanner.scan()) {
    if (kind === SyntaxKind.SlashToken || kind === SyntaxKind.SlashEqualsToken)
      if (!endsAValue(tokens.at(-1))) kind = scanner.reScanSlashToken();
    if (kind === SyntaxKind.OpenBraceToken) braces.push(false);
    else if (kind === SyntaxKind.TemplateHead) braces.push(true);
    else if (kind === SyntaxKind.CloseBraceToken && braces.pop() === true) {
      kind = scanner.reScanTemplateToken(false);
      if (kind === SyntaxKind.TemplateMiddle) braces.push(true);
    }
    const start = scanner.getTokenStart();
    for (; counted < start; counted += 1) if (source.charCodeAt(counted) === 10) line += 1;
    const text = scanner.getTokenText();
    const isString = strings.has(kind);
    tokens.push({
      kind: isString ? 'string' : numbers.has(kind) ? 'number' : /^[#\w$]/.test(text) ? 'word' : 'other',
      text: isString ? scanner.getTokenValue() : text,
      line,
    });
  }
  return tokens;
}

export interface Import {
  /** As written: './x.ts', 'node:net', '@scope/name'. */
  readonly specifier: string;
  readonly line: number;
}

export function importsOf(tokens: readonly Token[]): Import[] {
  const found: Import[] = [];
  tokens.forEach((token, at) => {
    if (token.kind !== 'string') return;
    const [before, twoBefore] = [tokens[at - 1]?.text, tokens[at - 2]?.text];
    const isImport =
      before === 'from' ||
      before === 'import' ||
      (before === '(' && (twoBefore === 'import' || twoBefore === 'require' || twoBefore === 'getBuiltinModule'));
    if (isImport) found.push({ specifier: token.text, line: token.line });
  });
  return found;
}
