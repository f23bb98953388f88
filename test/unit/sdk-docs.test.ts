import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const sdk = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../../client/sdk');

test('everything that users of the SDK can call or set says what it does', async () => {
  const undocumented: string[] = [];
  for (const file of ['index.ts', 'realtime.ts', 'upload.ts', 'chat.ts', 'errors.ts']) {
    const source = ts.createSourceFile(file, await readFile(path.join(sdk, file), 'utf8'), ts.ScriptTarget.ES2022, true);
    const visit = (node: ts.Node): void => {
      if (isPublic(node) && ts.getJSDocCommentsAndTags(node).length === 0) undocumented.push(`${file}: ${node.getText().split('\n')[0]?.slice(0, 90)}`);
      ts.forEachChild(node, visit);
    };
    visit(source);
  }
  assert.deepEqual(undocumented, []);
});

/** Exported classes and functions, their methods, and the methods of the objects they hold. Getters and fields of results are named for what they are. */
function isPublic(node: ts.Node): node is ts.ClassDeclaration | ts.FunctionDeclaration | ts.MethodDeclaration | ts.PropertyAssignment {
  if (ts.isClassDeclaration(node) || ts.isFunctionDeclaration(node)) return ts.getCombinedModifierFlags(node) === ts.ModifierFlags.Export && node.name?.text !== 'connectionLost';
  if (ts.isMethodDeclaration(node)) return ts.isClassDeclaration(node.parent) && ts.isIdentifier(node.name);
  // client.videos.list and its like.
  return ts.isPropertyAssignment(node) && ts.isArrowFunction(node.initializer) && ts.isPropertyDeclaration(node.parent.parent);
}
