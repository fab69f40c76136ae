// Globals of scripts that are no modules.
declare const uPlot: any;
