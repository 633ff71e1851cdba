/** The live page: puts its parts together. Runs in the browser; src/http/page.ts serves it. */
import type { Sample } from '../metrics/sample.ts';
import { AppHeader } from './app-header.ts';
import { ChannelDetail } from './channel-detail.ts';
import { ChannelList } from './channel-list.ts';
import { startCharts } from './charts.ts';
import { followStats } from './counters.ts';
import { byId } from './dom.ts';
import { followFeed } from './feed.ts';
import { startFigures } from './figures.ts';
import { History } from './history.ts';
import { startPanels } from './panels.ts';
import { startTheme } from './theme.ts';
import { startToken } from './token.ts';

const history = new History();
const header = new AppHeader();
const charts = startCharts(history);
const showFigures = startFigures();
const panels = startPanels(history);
const detail = new ChannelDetail();
const channels = new ChannelList((row) => detail.show(row));

let isDue = false;

/** Draws once for all samples that came together, and nothing while nobody looks. */
function drawSoon(): void {
  if (isDue || document.hidden) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    const { last } = history;
    if (last === undefined) return;
    showFigures(last);
    panels.show(last);
    for (const chart of charts) chart.draw();
  });
}

startTheme(() => {
  for (const chart of charts) chart.recolour();
});
startToken(() => void channels.load());
byId('windows').addEventListener('change', (event) => {
  history.window = Number((event.target as HTMLInputElement).value);
  drawSoon();
});
document.addEventListener('visibilitychange', drawSoon);
followStats((stats) => panels.stats(stats));
void followFeed({
  begun: () => {
    history.clear();
    void channels.load();
  },
  sample: (sample: Sample) => {
    history.add(sample);
    header.sample(sample.ready);
    drawSoon();
  },
  lost: (reason, nextAt) => header.lost(reason, nextAt),
});
