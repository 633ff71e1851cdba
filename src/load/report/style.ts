/**
 * The report's style sheet for light, dark and print, with system fonts alone. Lines have a contrast of 4.5 : 1 against
 * their background, and lines that may cover each other have different dashes.
 */
import { html } from './html.ts';

export const STYLE = html`
:root{color-scheme:light dark;--page:#fff;--panel:#f6f7f9;--line:#dfe3e8;--ink:#1b1f24;--soft:#57606a;
--blue:#0b5cad;--orange:#b54708;--purple:#7a4fb5;--pass:#11663b;--pass-back:#e3f5ea;--fail:#a3121f;--fail-back:#fde8e8}
@media screen and (prefers-color-scheme:dark){:root{--page:#11151a;--panel:#191f26;--line:#303943;--ink:#e6eaee;
--soft:#9aa5b1;--blue:#6cb2ff;--orange:#ffa657;--purple:#c8a6ff;--pass:#6fdd9b;--pass-back:#12301f;--fail:#ff9a9a;--fail-back:#3b1719}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif}
main{max-width:1040px;margin:0 auto;padding:28px 20px 48px}
header h1{font-size:22px;line-height:1.3;margin:0;overflow-wrap:anywhere}
header p{margin:4px 0 0;color:var(--soft)}
h2{font-size:16px;margin:0 0 10px}
section{margin-top:32px}
.verdict{margin-top:18px;padding:12px 16px;border-left:5px solid;border-radius:4px;overflow-wrap:anywhere}
.verdict.pass{border-color:var(--pass);background:var(--pass-back)}
.verdict.fail{border-color:var(--fail);background:var(--fail-back)}
.verdict strong{display:block;font-size:17px}
.verdict.pass strong{color:var(--pass)}
.verdict.fail strong{color:var(--fail)}
.verdict ul{margin:4px 0 0;padding-left:20px}
.tiles{display:grid;grid-template-columns:repeat(4,1fr);gap:12px;margin-top:18px}
.tile{background:var(--panel);border-radius:6px;padding:12px 14px}
.tile b{display:block;font-size:23px;line-height:1.25;font-weight:600;font-variant-numeric:tabular-nums}
.tile span{display:block;color:var(--soft);font-size:13px}
.tile i{display:block;height:4px;margin:8px 0 6px;border-radius:2px;background:var(--line)}
.tile i u{display:block;height:4px;border-radius:2px;background:var(--blue)}
.tile u.over{background:var(--fail)}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:12px 36px;align-items:start}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:4px 8px;border-bottom:1px solid var(--line);text-align:right;vertical-align:top}
td{white-space:nowrap}
th{font-weight:400;color:var(--soft)}
thead th{font-size:13px;vertical-align:bottom}
tr>:first-child{text-align:left;padding-left:0}
tr>:last-child{padding-right:0}
tbody th{color:var(--ink)}
tr.part th{padding-left:18px;color:var(--soft)}
tr.knee>*{background:var(--panel);font-weight:600}
td.bad{color:var(--fail);font-weight:600}
.settings td{text-align:left;white-space:normal;overflow-wrap:anywhere}
.settings th{color:var(--soft);white-space:nowrap;width:1%;padding-right:16px}
.caption,.empty{color:var(--soft);font-size:13px;margin:8px 0 0}
.empty{padding:24px;text-align:center;border:1px dashed var(--line);border-radius:6px}
.legend{display:flex;flex-wrap:wrap;gap:4px 20px;font-size:13px;color:var(--soft);margin-bottom:8px}
.legend svg{margin-right:6px;vertical-align:middle}
.chart svg[role]{display:block;width:100%;height:auto;min-width:640px}
.chart svg[role]+svg[role]{margin-top:18px}
.chart+.scroll{margin-top:18px}
svg text{fill:var(--soft);font-size:12px;font-variant-numeric:tabular-nums}
svg .note{fill:var(--ink);paint-order:stroke;stroke:var(--page);stroke-width:4px;stroke-linejoin:round}
.grid{stroke:var(--line);fill:none}
.axis,.tick{stroke:var(--soft);fill:none}
.line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.line.blue{stroke:var(--blue)}
.line.orange{stroke:var(--orange)}
.line.purple{stroke:var(--purple);stroke-width:1.5}
.line.dashed{stroke-dasharray:7 4}
.line.dotted{stroke-dasharray:1.5 4}
.line.faint{stroke:var(--soft);stroke-width:1.2;stroke-dasharray:3 4}
.rule{stroke:var(--fail);stroke-width:1.2;stroke-dasharray:9 3 2 3;fill:none}
.place{stroke:var(--pass);stroke-width:1.5;fill:none}
.band rect{fill:transparent}
.band path{stroke:none}
.band circle{opacity:0;stroke:var(--page);stroke-width:1.5}
.band:hover circle{opacity:1}
.band:hover path{stroke:var(--soft)}
.band .shown{opacity:1}
circle.blue{fill:var(--blue)}
circle.orange{fill:var(--orange)}
circle.purple{fill:var(--purple)}
@media (max-width:760px){.pair{grid-template-columns:1fr}.tiles{grid-template-columns:1fr 1fr}}
@media print{body{font-size:12px}main{max-width:none;padding:0}section,.tile,.verdict,svg,table{break-inside:avoid}
.verdict,.tile,tr.knee>*,.tile i,.tile u{-webkit-print-color-adjust:exact;print-color-adjust:exact}h2{break-after:avoid}}
`;
