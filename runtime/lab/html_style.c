/* SPDX-License-Identifier: Apache-2.0 */
#include <nsrun/lab/html.h>

/* Colours are never alone in saying something. A `>` of a selector is text in XML, too; there is no `<` or `&`. */
#define DAYLIGHT                                                                                                  \
	"--ink:#1b2430;--dim:#515d6d;--page:#ffffff;--card:#f6f8fa;--line:#d3dae2;--edge:#93a1b1;--link:#0b57a4;" \
	"--good:#0a6a39;--bad:#a3231f;--host:#e7ebf0;--host-line:#aab6c3;--box:#d9e9fb;--box-line:#7fabdc;"       \
	"--both:#f8ebc4;--both-line:#c8a64d;--runtime:#3d6db0;--init:#1f7f5e;--workload:#b2601f"

const char html_style[] =
	":root{color-scheme:light dark;" DAYLIGHT "}\n"
	"@media (prefers-color-scheme:dark){:root{--ink:#e6ebf2;--dim:#a5b1c0;--page:#0f141a;--card:#171d25;--line:#333e4b;"
	"--edge:#6b7a8c;--link:#7db6f5;--good:#5fd19a;--bad:#ff938a;--host:#28313c;--host-line:#56657a;--box:#15365a;"
	"--box-line:#3f7cc0;--both:#4a3c12;--both-line:#947628;--runtime:#7ba8e6;--init:#50ba94;--workload:#e09a5b}}\n"
	/* page */
	"body{margin:0 auto;max-width:62rem;padding:1.5rem 1rem 3rem;font:16px/1.55 system-ui,'Segoe UI',sans-serif;"
	"color:var(--ink);background:var(--page)}\n"
	"h1,h2,h3{line-height:1.25;overflow-wrap:anywhere}h1{margin:0;font-size:1.75rem}h2{margin:3rem 0 .5rem;"
	"padding-top:.75rem;border-top:1px solid var(--line);font-size:1.35rem}h3{margin:2rem 0 .5rem;font-size:1.05rem}\n"
	"p{margin:.5rem 0;max-width:46rem}a{color:var(--link)}\n"
	"code,pre{font-family:ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;font-size:.9em;overflow-wrap:anywhere}\n"
	"pre{white-space:pre-wrap;margin:.5rem 0;padding:.6rem .8rem;background:var(--card);border:1px solid var(--line);"
	"border-radius:6px}\n"
	".dim{color:var(--dim)}.good{color:var(--good);font-weight:600}.bad{color:var(--bad);font-weight:600}"
	".small{font-size:.9em}\n"
	/* tiles */
	".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));gap:.75rem;margin:1.25rem 0}"
	".tiles div{padding:.7rem .9rem;background:var(--card);border:1px solid var(--line);border-radius:6px}"
	".tiles dt{color:var(--dim);font-size:.9em}.tiles dd{margin:0;font-size:1.35rem;font-weight:600}"
	".tiles small{color:var(--dim);font-size:.65em;font-weight:400}\n"
	/* tables */
	".wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.94em;margin:.5rem 0}"
	"th,td{border-bottom:1px solid var(--line);padding:.45rem .6rem;text-align:left;vertical-align:top;"
	"overflow-wrap:break-word}thead th{color:var(--dim);font-weight:600;font-size:.9em;border-bottom:2px solid var(--line);"
	"white-space:nowrap}td p{margin:0 0 .35rem}tbody th{font-weight:600;overflow-wrap:anywhere}"
	".num{text-align:right;white-space:nowrap}.nowrap{white-space:nowrap}.long{overflow-wrap:anywhere}\n"
	".asks td{width:32%}.asks td:last-child{width:36%}\n"
	"body.class{max-width:80rem}.matrix{width:auto;min-width:36rem}.matrix thead th{vertical-align:bottom}"
	".matrix th.cell span{writing-mode:vertical-rl;transform:rotate(180deg);max-height:11rem;overflow-wrap:anywhere}"
	".matrix th.cell,.matrix td.cell{padding-left:.35rem;padding-right:.35rem}"
	".matrix td.cell{font-size:.85em;line-height:1.4}.matrix td.cell b{white-space:nowrap}.matrix tbody th,tfoot th{min-width:7rem}.matrix td.done{background:var(--box)}"
	"tfoot th,tfoot td{border-top:2px solid var(--line)}\n"
	".chip{display:inline-block;padding:0 .5em;border:1px solid currentColor;border-radius:1em;font-size:.9em;"
	"font-weight:600;white-space:nowrap}.chip.solved,.chip.right{color:var(--good)}.chip.wrong{color:var(--bad)}"
	".chip.other{color:var(--dim)}\n"
	"details{margin:.75rem 0}summary{cursor:pointer;overflow-wrap:anywhere}summary:focus-visible,a:focus-visible"
	"{outline:2px solid var(--link);outline-offset:2px}\n"
	/* figures */
	"figure{margin:1.25rem 0 1.75rem}figcaption{margin-top:.4rem;font-size:.9em;color:var(--dim);max-width:50rem}"
	".figure-title{font-weight:600;color:var(--ink)}\n"
	"svg{display:block;box-sizing:border-box;width:100%;min-width:44rem;height:auto;background:var(--card);"
	"border:1px solid var(--line);border-radius:6px}svg+svg{margin-top:.5rem}\n"
	/* Fonts whose characters are not wider than FIGURE_CHAR. */
	"svg text{font:12px 'DejaVu Sans Mono',Menlo,Consolas,'Liberation Mono','Courier New',monospace;fill:var(--ink)}"
	"svg .dim{fill:var(--dim)}svg .strong{font-weight:600}svg .good{fill:var(--good)}svg .bad{fill:var(--bad)}\n"
	"svg line,svg path{fill:none;stroke:var(--edge)}svg .none{fill:none}svg .grid{stroke:var(--line)}"
	"svg .area{fill:none;stroke:var(--edge)}svg .unknown{stroke-dasharray:5 4}svg .ground{fill:var(--page)}\n"
	"svg .host{fill:var(--host);stroke:var(--host-line)}svg .box{fill:var(--box);stroke:var(--box-line)}"
	"svg .both{fill:var(--both);stroke:var(--both-line)}svg .band{fill:var(--box);fill-opacity:.7;stroke:var(--box-line)}"
	"svg line.wire{stroke:var(--box-line);stroke-width:3}\n"
	"svg .runtime{fill:var(--runtime)}svg .init{fill:var(--init)}svg .workload{fill:var(--workload)}"
	"svg .failed{fill:var(--bad)}svg .open{fill-opacity:.35}svg .stripe{fill:var(--page)}"
	"svg .call{paint-order:stroke;stroke:var(--card);stroke-width:4px;stroke-linejoin:round}svg line.cut{stroke-dasharray:3 3;stroke:var(--dim)}\n"
	"svg .hit{fill:var(--good)}svg path.tick{stroke:var(--page);stroke-width:2}svg .miss{fill:none;stroke:var(--bad);"
	"stroke-width:1.5}svg path.cross{stroke:var(--bad);stroke-width:2}svg .unasked{fill:none;stroke:var(--edge);"
	"stroke-dasharray:2 2}\n"
	/* paper */
	"@media print{@page{margin:14mm}@page wide{size:landscape;margin:12mm}body.class{page:wide}.matrix{font-size:6.5pt;min-width:0}.matrix th,.matrix td,.matrix th.cell,.matrix td.cell{padding:.12rem}:root{color-scheme:light;font-size:13px;" DAYLIGHT
	"}"
	"body{max-width:none;padding:0;font-size:9.5pt;-webkit-print-color-adjust:exact;print-color-adjust:exact}"
	"svg{min-width:0}a{color:inherit;text-decoration:none}.wide{overflow:visible}"
	"svg,tr,.tiles div,pre{break-inside:avoid}figcaption{break-before:avoid}h2,h3,summary{break-after:avoid}"
	"details:not([open]){display:none}.chapter{break-before:page}.chapter h2{margin-top:0;padding-top:0;border-top:0}tfoot{display:table-row-group}.screen{display:none}}\n"
	"@media screen{.paper{display:none}}\n";
