import { expect, test } from 'vitest';
import { expectReady, type NodeControl } from '../../../src/control/node-control.ts';

test('changes are taken while a node says so, or where it does not say, while it is ready', () => {
  const node = (said: { ready: boolean; canChange?: boolean }) => said as NodeControl;
  for (const said of [{ ready: true }, { ready: false, canChange: true }])
    expect(() => expectReady(node(said))).not.toThrow();
  for (const said of [{ ready: false }, { ready: false, canChange: false }])
    expect(() => expectReady(node(said))).toThrow(/expected it ready/);
});
