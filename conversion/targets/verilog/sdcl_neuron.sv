// One step of one neuron, combinational, in exact integers:
//   u = towards_zero(u CURRENT_KEEP / 4096) + 64 sum, wrapped around once beyond 24 bits
//   v = clip(towards_zero(v VOLTAGE_KEEP / 4096) + u + bias), spike where v > THRESHOLD, then v = 0
// All additions are those of 32-bit registers. bias and THRESHOLD are already shifted by 6 bits.
module sdcl_neuron #(
    parameter SUM_BITS = 16,
    parameter SHIFT = 0,          // zero bits that all weights end in and that are not stored
    parameter CONVOLUTION = 0,    // 1: the sum wraps to 24 bits first
    parameter CURRENT_BITS = 24,
    parameter CURRENT_KEEP = 0,   // 0: an instantaneous current
    parameter VOLTAGE_KEEP = 4096,
    parameter THRESHOLD = 0
) (
    input  logic signed [SUM_BITS-1:0]     sum,
    input  logic signed [31:0]             bias,
    input  logic signed [CURRENT_BITS-1:0] current,
    input  logic signed [23:0]             voltage,
    output logic signed [CURRENT_BITS-1:0] next_current,
    output logic signed [23:0]             next_voltage,
    output logic                           spike
);
    localparam signed [31:0] LIMIT = 32'sd8388608;
    localparam signed [31:0] LEVEL = THRESHOLD;
    localparam [12:0] KEPT_CURRENT = CURRENT_KEEP;
    localparam [12:0] KEPT_VOLTAGE = VOLTAGE_KEEP;

    function automatic signed [31:0] decayed(input signed [31:0] state, input [12:0] keep);
        logic [31:0] size;
        logic [44:0] product;
        begin
            size = state[31] ? -state : state;
            product = {13'd0, size} * {32'd0, keep};
            decayed = state[31] ? -product[43:12] : product[43:12];
        end
    endfunction

    logic signed [31:0] wide_sum, wide_current, wide_voltage;
    logic signed [31:0] shifted, total, summed, wrapped, target, limited;

    assign wide_sum = {{(32 - SUM_BITS) {sum[SUM_BITS-1]}}, sum};
    assign wide_current = {{(32 - CURRENT_BITS) {current[CURRENT_BITS-1]}}, current};
    assign wide_voltage = {{8{voltage[23]}}, voltage};
    assign shifted = wide_sum << SHIFT;
    assign total = (CONVOLUTION != 0) ? {{8{shifted[23]}}, shifted[23:0]} : shifted;
    assign summed = decayed(wide_current, KEPT_CURRENT) + (total << 6);
    assign wrapped = (summed > LIMIT) ? summed - (LIMIT <<< 1)
                   : (summed <= -LIMIT) ? summed + (LIMIT <<< 1) : summed;
    assign target = decayed(wide_voltage, KEPT_VOLTAGE) + wrapped + bias;
    assign limited = (target >= LIMIT) ? LIMIT - 1 : (target <= -LIMIT) ? 1 - LIMIT : target;
    assign spike = limited > LEVEL;
    assign next_current = wrapped[CURRENT_BITS-1:0];
    assign next_voltage = spike ? 24'sd0 : limited[23:0];
endmodule
