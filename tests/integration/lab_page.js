// SPDX-License-Identifier: Apache-2.0
// What a person would see of a page of nsrun lab report, measured in the browser. test_lab_browser.py puts it at the end of a copy and reads what it
// writes into the document.
(function () {
	"use strict";
	const findings = {
		errors: [], dark: matchMedia("(prefers-color-scheme: dark)").matches, resources: performance.getEntriesByType("resource").length,
		texts: 0, shapes: 0, pictures: 0, lowest: 99, bars: [], squares: 0, width: document.documentElement.clientWidth
	};
	const name = (element) => element.tagName + "." + (element.getAttribute("class") || "") + " " + element.textContent.trim().slice(0, 60);
	const told = {};
	const wrong = (kind, ...words) => {
		told[kind] = (told[kind] || 0) + 1;
		if (told[kind] <= 10) findings.errors.push([kind, ...words].join(" "));
	};
	const rgb = (text) => (text.match(/[\d.]+/g) || []).map(Number);
	const solid = (colour) => colour.length >= 3 && (colour.length < 4 || colour[3] > 0);
	const light = (c) => { const s = c / 255; return s <= 0.04045 ? s / 12.92 : Math.pow((s + 0.055) / 1.055, 2.4); };
	const luminance = (c) => 0.2126 * light(c[0]) + 0.7152 * light(c[1]) + 0.0722 * light(c[2]);
	function contrast(a, b) {
		const x = luminance(a), y = luminance(b);
		return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
	}
	function ground(element) {
		for (let at = element; at; at = at.parentElement) {
			const colour = rgb(getComputedStyle(at).backgroundColor);
			if (solid(colour)) return colour;
		}
		return [255, 255, 255];
	}
	function demand(element, fore, back, least) {
		const ratio = contrast(fore, back);
		if (least === 4.5) findings.lowest = Math.min(findings.lowest, ratio);
		if (ratio < least) wrong("contrast", ratio.toFixed(2), "of", name(element), fore, "on", back);
	}
	const inside = (box, x, y) => x >= box.x && x <= box.x + box.width && y >= box.y && y <= box.y + box.height;

	// A word stands in a box, and not on another word.
	function checkPicture(svg) {
		const view = svg.viewBox.baseVal, shapes = [...svg.querySelectorAll("rect,line,path,polygon")], texts = [...svg.querySelectorAll("text")];
		const boxes = new Map(shapes.concat(texts).map((each) => [each, each.getBBox()]));
		findings.pictures++;
		findings.shapes += shapes.length;
		findings.texts += texts.length;
		for (const [each, box] of boxes)
			if (box.x < -0.01 || box.y < -0.01 || box.x + box.width > view.width + 0.01 || box.y + box.height > view.height + 0.01)
				wrong("outside of the picture:", name(each), JSON.stringify([box.x, box.y, box.width, box.height]), "of", view.width, view.height);
		const sorted = texts.map((each) => [each, boxes.get(each)]).sort((a, b) => a[1].y - b[1].y);
		for (let i = 0; i < sorted.length; i++)
			for (let k = i + 1; k < sorted.length && sorted[k][1].y < sorted[i][1].y + sorted[i][1].height; k++) {
				const a = sorted[i][1], b = sorted[k][1];
				const wide = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
				const high = Math.min(a.y + a.height, b.y + b.height) - b.y;
				if (wide > 0.5 && high > 2) wrong("texts overlap:", name(sorted[i][0]), "and", name(sorted[k][0]));
			}
		for (const text of texts) {
			const box = boxes.get(text), y = box.y + box.height / 2;
			let back = ground(svg);
			for (const shape of shapes) {
				if (!(shape.compareDocumentPosition(text) & Node.DOCUMENT_POSITION_FOLLOWING) || shape.tagName !== "rect") continue;
				const style = getComputedStyle(shape), fill = rgb(style.fill), its = boxes.get(shape);
				if (!inside(its, box.x + 1, y) && !inside(its, box.x + box.width - 1, y)) continue;
				if (/\b(ns|link|box|host|both|area)\b/.test(shape.getAttribute("class")) && its.width > 20 &&
				    (box.x < its.x || box.x + box.width > its.x + its.width || box.y < its.y - 1 || box.y + box.height > its.y + its.height + 1))
					wrong("reaches out of its box:", name(text));
				if (/\bbar\b/.test(shape.getAttribute("class"))) wrong("a text on a bar:", name(text));
				if (style.fill !== "none" && solid(fill)) back = fill;
			}
			demand(text, rgb(getComputedStyle(text).fill), back, 4.5);
			if (parseFloat(getComputedStyle(text).fontSize) < 11) wrong("small:", name(text));
		}
		// What is no text is seen from three on (WCAG 2.1, 1.4.11).
		for (const shape of svg.querySelectorAll(".bar,.hit"))
			if (!/\bopen\b/.test(shape.getAttribute("class"))) demand(shape, rgb(getComputedStyle(shape).fill), ground(svg), 3);
		for (const shape of svg.querySelectorAll(".miss,.cross")) demand(shape, rgb(getComputedStyle(shape).stroke), ground(svg), 3);
	}

	function checkPage() {
		if (document.documentElement.scrollWidth > document.documentElement.clientWidth)
			wrong("the page is wider than the window:", document.documentElement.scrollWidth, document.documentElement.clientWidth);
		for (const each of document.body.querySelectorAll("h1,h2,h3,p,a,pre,code,dt,dd,small,span,b,strong,th,td,summary,figcaption")) {
			const box = each.getBoundingClientRect(), parent = each.closest(".wide") || document.body;
			if (!box.width || ![...each.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim())) continue;
			demand(each, rgb(getComputedStyle(each).color), ground(each), 4.5);
			findings.texts++;
			if (parent === document.body && box.right > document.documentElement.clientWidth + 0.5) wrong("cut on the right:", name(each));
			const cell = each.closest("td,th");
			if (cell && cell !== each && box.right > cell.getBoundingClientRect().right + 1) wrong("reaches out of its field:", name(each));
		}
	}

	const folded = document.querySelectorAll("details:not([open])").length, all = document.querySelectorAll("details").length;
	try {
		checkPage();
		for (const each of document.querySelectorAll("details")) each.open = true;
		document.querySelectorAll("svg").forEach((svg) => { if (svg.getBoundingClientRect().width) checkPicture(svg); });
		findings.bars = [...document.querySelectorAll("figure.tape")].map((each) => each.querySelectorAll("rect.bar").length);
		findings.squares = document.querySelectorAll("rect.question").length;
	} catch (error) {
		wrong("the script: " + error.stack);
	}
	findings.ground = ground(document.body);
	findings.folded = folded;
	findings.details = all;
	const out = document.createElement("pre");
	out.id = "findings";
	out.textContent = JSON.stringify(findings);
	document.body.append(out);
})();
