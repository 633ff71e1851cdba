/** What `claimwire bench` (tools/bench.ts) takes from here. */
export { compare, comparisonText, expectReport } from './compare.ts';
export { renderPage } from './page/page.ts';
export { runBench } from './run.ts';
export { reportText } from './text.ts';
